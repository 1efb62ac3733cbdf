#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <string_view>

namespace dpdkproj {

/// Calls into a driver that may use memory which is not there any more. That is so with net_memif
/// (DPDK 22.11 and 24.11): when its peer goes, EAL's interrupt thread unmaps the memory that both
/// share, while an lcore may be in the middle of a burst. The fault ends the burst instead of the
/// process. A call costs a few nanoseconds more.
class FaultGuard {
 public:
  /// Whether a driver needs this.
  static bool is_needed(std::string_view driver) noexcept { return driver == "net_memif"; }

  /// Installs the handler of SIGSEGV and SIGBUS. Faults outside of the calls below still end the
  /// process.
  static void install() noexcept;

  /// As rte_eth_rx_burst. After a fault, nothing was received; mbufs that the driver had already
  /// allocated are lost to their pool.
  static uint16_t rx_burst(uint16_t port_id, uint16_t queue_id, rte_mbuf** mbufs,
                           uint16_t count) noexcept;

  /// As rte_eth_tx_burst. After a fault, all packets count as accepted: which of them the driver
  /// has freed is unknown, so none may be used again. The peer that would receive them is gone.
  static uint16_t tx_burst(uint16_t port_id, uint16_t queue_id, rte_mbuf** mbufs,
                           uint16_t count) noexcept;
};

}  // namespace dpdkproj
