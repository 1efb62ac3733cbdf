#include "dpdk/tx_schedule.hpp"

#include <rte_errno.h>
#include <rte_ethdev.h>

#include <chrono>
#include <string>
#include <thread>

#include "dpdk/error.hpp"

namespace dpdkproj {

TxSchedule::TxSchedule(uint16_t port_id, const Clock& clock) : port_id_(port_id), clock_(&clock) {
  check(rte_mbuf_dyn_tx_timestamp_register(&offset_, &flag_) == 0 ? 0 : -rte_errno,
        "rte_mbuf_dyn_tx_timestamp_register");
  uint64_t ticks = 0;
  check(rte_eth_read_clock(port_id, &ticks), "rte_eth_read_clock",
        "this port does not tell its clock: use --pacing burst or spin");
  const auto sure = [this] {
    std::optional<Reading> reading = read();
    while (!reading) {
      reading = read();
    }
    return *reading;
  };
  first_ = sure();
  std::this_thread::sleep_for(std::chrono::nanoseconds(kBaselineNs));
  compare(sure());
}

/// Nothing when an interrupt came in between.
std::optional<TxSchedule::Reading> TxSchedule::read() const noexcept {
  constexpr uint64_t kLongestNs = 5'000;
  const uint64_t before_ns = clock_->now_ns();
  uint64_t ticks = 0;
  const bool is_read = rte_eth_read_clock(port_id_, &ticks) == 0;
  const uint64_t took_ns = clock_->now_ns() - before_ns;
  if (!is_read || took_ns > kLongestNs) {
    return std::nullopt;
  }
  return Reading{before_ns + took_ns / 2, ticks};
}

void TxSchedule::read_again(uint64_t now_ns) noexcept {
  const std::optional<Reading> reading = read();
  if (!reading) {
    return;
  }
  if (next_ns_ == 0) {
    first_ = *reading;  // what there was may be by another zero of the clock
  }
  next_ns_ = now_ns + kFollowNs;
  compare(*reading);
}

/// The longer ago the first reading is, the better the ratio is known.
void TxSchedule::compare(const Reading& reading) noexcept {
  last_ = reading;
  if (last_.ns - first_.ns >= kBaselineNs) {
    ticks_per_ns_ =
        static_cast<double>(last_.ticks - first_.ticks) / static_cast<double>(last_.ns - first_.ns);
  }
}

}  // namespace dpdkproj
