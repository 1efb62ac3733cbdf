#pragma once

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <cstdint>
#include <optional>

#include "dpdk/clock.hpp"
#include "dpdk/stop.hpp"

namespace dpdkproj {

/// Where an mbuf says when it is to leave, and the flag that says that it does.
struct LaunchTimeField {
  int offset;
  uint64_t flag;

  /// Registers both; to be called before a port that is to heed them is started. Throws a
  /// DpdkError.
  static LaunchTimeField make();
};

/// Tells a port when each packet is to leave: RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP, whose
/// timestamps are ticks of the port's own clock (DPDK Programmer's Guide, "Poll Mode Driver";
/// rte_mbuf_dyn.h). That clock and the TSC drift apart, so it is read again and again. For one
/// lcore.
class TxSchedule {
 public:
  /// How much earlier than a packet is to leave it is handed over: for so long its lcore may be
  /// held up. At 10 Mpps a thousand packets wait in the tx queue then.
  static constexpr uint64_t kLeadNs = 100'000;
  /// Two readings must be so far apart to tell how fast the port's clock goes.
  static constexpr uint64_t kBaselineNs = 50'000'000;
  /// How often the port's clock is read.
  static constexpr uint64_t kFollowNs = 10'000'000;

  /// For a port that was configured with PortConfig::send_on_timestamp; takes as long as
  /// kBaselineNs, unless a stop is requested: nothing is to be sent then. `clock` may be restarted
  /// before the first follow(). Throws a DpdkError if the port does not tell its clock.
  TxSchedule(uint16_t port_id, const Clock& clock, const StopRequest& stop = no_stop());

  /// Reads the port's clock if it is time to. To be called in every poll.
  void follow(uint64_t now_ns) noexcept {
    if (now_ns >= next_ns_) [[unlikely]] {
      read_again(now_ns);
    }
  }

  /// `mbuf` is to leave at `at_ns`. (While the port has not told its clock, it leaves at once.)
  void set(rte_mbuf& mbuf, uint64_t at_ns) const noexcept {
    if (is_followed_) [[likely]] {
      mbuf.ol_flags |= field_.flag;
      *RTE_MBUF_DYNFIELD(&mbuf, field_.offset, rte_mbuf_timestamp_t*) = ticks_at(at_ns);
    }
  }

  /// What the port's clock says at `at_ns`; after follow().
  uint64_t ticks_at(uint64_t at_ns) const noexcept {
    const auto since_ns = static_cast<double>(static_cast<int64_t>(at_ns - last_.ns));
    return last_.ticks + static_cast<uint64_t>(static_cast<int64_t>(since_ns * ticks_per_ns_));
  }

 private:
  /// Both clocks at one moment.
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
