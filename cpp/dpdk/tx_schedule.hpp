#pragma once

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <cstdint>
#include <optional>

#include "dpdk/clock.hpp"
#include "dpdk/stop.hpp"

namespace dpdkproj {

/// The dynamic mbuf field for the launch time, and the flag that marks it as valid.
struct LaunchTimeField {
  int offset;
  uint64_t flag;

  /// Registers both. Call it before starting a port that uses them. Throws a DpdkError.
  static LaunchTimeField make();
};

/// Gives each packet its launch time: RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP, whose timestamps are
/// ticks of the port's own clock (DPDK Programmer's Guide, "Poll Mode Driver"; rte_mbuf_dyn.h).
/// That clock drifts relative to the TSC, so it is read periodically. For one lcore.
class TxSchedule {
 public:
  /// How long before its launch time a packet is handed to the port. The lcore may stall for this
  /// long without delaying packets. At 10 Mpps, 1,000 packets wait in the tx queue.
  static constexpr uint64_t kLeadNs = 100'000;
  /// Minimum distance of the two readings that determine the frequency of the port's clock.
  static constexpr uint64_t kBaselineNs = 50'000'000;
  /// Interval between readings of the port's clock.
  static constexpr uint64_t kFollowNs = 10'000'000;

  /// For a port that was configured with PortConfig::send_on_timestamp. Takes kBaselineNs, unless a
  /// stop is requested: nothing will be sent then. `clock` may be restarted before the first
  /// follow(). Throws a DpdkError if the port's clock cannot be read.
  TxSchedule(uint16_t port_id, const Clock& clock, const StopRequest& stop = no_stop());

  /// Reads the port's clock if kFollowNs have passed. Call it in every poll.
  void follow(uint64_t now_ns) noexcept {
    if (now_ns >= next_ns_) [[unlikely]] {
      read_again(now_ns);
    }
  }

  /// Sets the launch time of `mbuf` to `at_ns`. (Until the first follow() has read the port's
  /// clock, packets get none and leave at once.)
  void set(rte_mbuf& mbuf, uint64_t at_ns) const noexcept {
    if (is_followed_) [[likely]] {
      mbuf.ol_flags |= field_.flag;
      *RTE_MBUF_DYNFIELD(&mbuf, field_.offset, rte_mbuf_timestamp_t*) = ticks_at(at_ns);
    }
  }

  /// The port's clock at `at_ns`, in ticks. Valid after follow().
  uint64_t ticks_at(uint64_t at_ns) const noexcept {
    const auto since_ns = static_cast<double>(static_cast<int64_t>(at_ns - last_.ns));
    return last_.ticks + static_cast<uint64_t>(static_cast<int64_t>(since_ns * ticks_per_ns_));
  }

 private:
  /// Both clocks at the same moment.
  struct Reading {
    uint64_t ns;
    uint64_t ticks;
  };

  std::optional<Reading> read() const noexcept;
  void read_again(uint64_t now_ns) noexcept;
  void compare(const Reading& reading) noexcept;

  uint16_t port_id_;
  const Clock* clock_;
  LaunchTimeField field_;
  Reading first_{};
  Reading last_{};
  uint64_t next_ns_ = 0;
  bool is_followed_ = false;
  double ticks_per_ns_ = 0;
};

}  // namespace dpdkproj
