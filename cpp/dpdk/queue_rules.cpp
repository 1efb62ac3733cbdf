#include "dpdk/queue_rules.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "dpdk/error.hpp"

namespace dpdkproj {

namespace {

// From the dev_configure functions of the drivers, which fail with -EINVAL and no word to the user
// unless their log level is raised (DPDK 22.11 and 24.11).
constexpr std::array kRules{
    QueueRules{.driver = "net_mana", .paired = true, .power_of_two = true},
    QueueRules{.driver = "net_vmxnet3", .paired = false, .power_of_two = true},
    QueueRules{.driver = "net_af_xdp", .paired = true, .power_of_two = false},
    QueueRules{.driver = "net_tap", .paired = true, .power_of_two = false},
};

std::string whose(const QueueRules& rules, unsigned port) {
  return "port " + std::to_string(port) + " (" + std::string(rules.driver) + ")";
}

}  // namespace

QueueRules queue_rules(std::string_view driver) noexcept {
  const auto* rules = std::ranges::find(kRules, driver, &QueueRules::driver);
  return rules == kRules.end() ? QueueRules{driver, false, false} : *rules;
}

uint16_t tx_queues_needed(const QueueRules& rules, unsigned port, uint16_t rx, uint16_t tx) {
  if (rules.power_of_two && !std::has_single_bit(rx)) {
    const unsigned less = std::bit_floor<unsigned>(rx);
    throw UsageError("-r " + std::to_string(rx) + ": " + whose(rules, port) +
                     " has only numbers of rx queues that are a power of two; give -r " +
                     std::to_string(less) + " or -r " + std::to_string(2 * less));
  }
  if (!rules.paired) {
    return tx;
  }
  if (tx > rx) {
    throw UsageError("-r " + std::to_string(rx) + " -t " + std::to_string(tx) + ": " +
                     whose(rules, port) +
                     " has as many tx as rx queues, and receives on all of them; lower -t or "
                     "raise -r");
  }
  return rx;
}

}  // namespace dpdkproj
