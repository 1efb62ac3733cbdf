#pragma once

#include <cstdint>
#include <string_view>

namespace dpdkproj {

/// What a driver requires of the numbers of queues, beside their maxima.
struct QueueRules {
  std::string_view driver;
  /// As many tx as rx queues.
  bool paired;
  /// The number of rx queues is a power of two.
  bool power_of_two;
};

/// The rules of a driver; none for one that is not known to have any.
QueueRules queue_rules(std::string_view driver) noexcept;

/// The number of tx queues that port `port` has to have for `rx` rx queues if the mode sends on
/// `tx` of them. Throws a UsageError if the rules allow no port with these queues.
uint16_t tx_queues_needed(const QueueRules& rules, unsigned port, uint16_t rx, uint16_t tx);

}  // namespace dpdkproj
