#include "dpdk/tx_schedule.hpp"

#include <rte_errno.h>
#include <rte_ethdev.h>

#include <chrono>

#include "dpdk/error.hpp"

namespace dpdkproj {

LaunchTimeField LaunchTimeField::make() {
  LaunchTimeField field{};
  const int result = rte_mbuf_dyn_tx_timestamp_register(&field.offset, &field.flag);
  check(result == 0 ? 0 : -rte_errno, "rte_mbuf_dyn_tx_timestamp_register");
  return field;
}

TxSchedule::TxSchedule(uint16_t port_id, const Clock& clock, const StopRequest& stop)
    : port_id_(port_id), clock_(&clock), field_(LaunchTimeField::make()) {
  const auto read_or_throw = [this] {
    const std::optional<Reading> reading = read();
    if (!reading) {
      uint64_t ticks = 0;
      const int result = rte_eth_read_clock(port_id_, &ticks);
      throw DpdkError("rte_eth_read_clock", result,
                      "this port does not report its clock: use --pacing burst or spin");
    }
    return *reading;
  };
  first_ = read_or_throw();
  stop.sleep(std::chrono::nanoseconds(kBaselineNs));
  compare(read_or_throw());
}

/// The most precise of a few attempts, because an interrupt may come in between; nullopt if the
/// port's clock cannot be read.
std::optional<TxSchedule::Reading> TxSchedule::read() const noexcept {
  constexpr int kAttempts = 8;
  constexpr uint64_t kNarrowNs = 2'000;
  std::optional<Reading> best;
  uint64_t best_ns = UINT64_MAX;
  for (int attempt = 0; attempt < kAttempts && best_ns > kNarrowNs; ++attempt) {
    const uint64_t before_ns = clock_->now_ns();
    uint64_t ticks = 0;
    const bool is_read = rte_eth_read_clock(port_id_, &ticks) == 0;
    const uint64_t took_ns = clock_->now_ns() - before_ns;
    if (is_read && took_ns < best_ns) {
      best_ns = took_ns;
      best = Reading{before_ns + took_ns / 2, ticks};
    }
  }
  return best;
}

void TxSchedule::read_again(uint64_t now_ns) noexcept {
  next_ns_ = now_ns + kFollowNs;
  const std::optional<Reading> reading = read();
  if (!reading) {
    return;
  }
  if (!is_followed_) {
    first_ = *reading;  // the clock may have been restarted since the constructor
    is_followed_ = true;
  }
  compare(*reading);
}

/// The ratio becomes more precise as the first reading ages.
void TxSchedule::compare(const Reading& reading) noexcept {
  last_ = reading;
  if (last_.ns - first_.ns >= kBaselineNs) {
    ticks_per_ns_ =
        static_cast<double>(last_.ticks - first_.ticks) / static_cast<double>(last_.ns - first_.ns);
  }
}

}  // namespace dpdkproj
