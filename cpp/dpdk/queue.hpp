#pragma once

#include <rte_ethdev.h>

#include <algorithm>
#include <cstdint>

#include "dpdk/burst.hpp"

namespace dpdkproj {

// The worker of a queue writes its counter; others read it after the worker has ended. Each queue
// has its own cache lines.

/// One rx queue of a started port.
class alignas(2 * RTE_CACHE_LINE_SIZE) RxQueue {
 public:
  RxQueue(uint16_t port_id, uint16_t queue_id, uint16_t burst)
      : port_id_(port_id), queue_id_(queue_id), burst_(burst) {}

  /// Receives up to --rx-burst packets into `burst`, whose previous content is overwritten.
  void receive(Burst& burst) noexcept {
    burst.size = rte_eth_rx_burst(port_id_, queue_id_, burst.mbufs.data(), burst_);
    delivered_ += burst.size;
  }

  /// Packets delivered by the driver.
  uint64_t delivered() const noexcept { return delivered_; }

 private:
  uint16_t port_id_;
  uint16_t queue_id_;
  uint16_t burst_;
  uint64_t delivered_ = 0;  // worker: rw, others: ro once it has ended
};

/// One tx queue of a started port.
class alignas(2 * RTE_CACHE_LINE_SIZE) TxQueue {
 public:
  /// `prepares`: packets request offloads beyond checksums, which some drivers do in
  /// rte_eth_tx_prepare (net_virtio inserts VLAN tags there).
  TxQueue(uint16_t port_id, uint16_t queue_id, uint16_t burst, bool prepares)
      : port_id_(port_id), queue_id_(queue_id), burst_(burst), prepares_(prepares) {}

  /// Sends `burst`, frees the packets that the driver does not accept, and returns how many it
  /// accepted.
  uint16_t send(Burst& burst) noexcept {
    const uint16_t accepted = offer(burst, 0);
    burst.free_from(accepted);
    return accepted;
  }

  /// Offers the packets of `burst` from index `first` on to the driver, up to --tx-burst per call,
  /// until it accepts less than a full call. Returns how many it accepted. The driver owns those;
  /// the others stay in place.
  uint16_t offer(Burst& burst, uint16_t first) noexcept {
    uint16_t next = first;
    const uint16_t end = prepares_ ? prepared(burst, first) : burst.size;
    // Never call the driver with an empty burst: net_memif of DPDK 24.11 does not return from that.
    while (next < end) {
      const uint16_t offered = std::min(burst_, static_cast<uint16_t>(end - next));
      const uint16_t accepted =
          rte_eth_tx_burst(port_id_, queue_id_, burst.mbufs.data() + next, offered);
      next = static_cast<uint16_t>(next + accepted);
      if (accepted < offered) {
        break;
      }
    }
    const auto taken = static_cast<uint16_t>(next - first);
    accepted_ += taken;
    return taken;
  }

  /// Packets accepted by the driver.
  uint64_t accepted() const noexcept { return accepted_; }

 private:
  /// The index behind the last packet from index `first` on that the driver is ready to take.
  [[gnu::noinline]] uint16_t prepared(Burst& burst, uint16_t first) const noexcept {
    const auto count = static_cast<uint16_t>(burst.size - first);
    return static_cast<uint16_t>(
        first + rte_eth_tx_prepare(port_id_, queue_id_, burst.mbufs.data() + first, count));
  }

  uint16_t port_id_;
  uint16_t queue_id_;
  uint16_t burst_;
  bool prepares_;
  uint64_t accepted_ = 0;  // worker: rw, others: ro once it has ended
};

}  // namespace dpdkproj
