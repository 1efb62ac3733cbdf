#pragma once

#include <rte_ethdev.h>

#include <algorithm>
#include <cstdint>

#include "dpdk/burst.hpp"

namespace dpdkproj {

// Queues are counted by their worker and read after it has ended; each has cache lines of its own.

/// One rx queue of a started port.
class alignas(2 * RTE_CACHE_LINE_SIZE) RxQueue {
 public:
  RxQueue(uint16_t port_id, uint16_t queue_id, uint16_t burst)
      : port_id_(port_id), queue_id_(queue_id), burst_(burst) {}

  /// Receives up to --rx-burst packets into `burst`, whose former content is forgotten.
  void receive(Burst& burst) noexcept {
    burst.size = rte_eth_rx_burst(port_id_, queue_id_, burst.mbufs.data(), burst_);
    delivered_ += burst.size;
  }

  /// Packets that the driver has delivered.
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
  TxQueue(uint16_t port_id, uint16_t queue_id, uint16_t burst)
      : port_id_(port_id), queue_id_(queue_id), burst_(burst) {}

  /// Sends `burst`, frees what the driver does not take, and returns how many it took.
  uint16_t send(Burst& burst) noexcept {
    const uint16_t accepted = offer(burst, 0);
    burst.free_from(accepted);
    return accepted;
  }

  /// Offers the driver the packets of `burst` from place `first` on, up to --tx-burst at a time as
  /// long as it takes all of them, and returns how many it took. Those are its own from then on;
  /// the others stay where they are.
  uint16_t offer(Burst& burst, uint16_t first) noexcept {
    uint16_t next = first;
    uint16_t offered = 0;
    uint16_t accepted = 0;
    do {
      offered = std::min(burst_, static_cast<uint16_t>(burst.size - next));
      accepted = rte_eth_tx_burst(port_id_, queue_id_, burst.mbufs.data() + next, offered);
      next = static_cast<uint16_t>(next + accepted);
    } while (accepted == offered && next < burst.size);
    const auto taken = static_cast<uint16_t>(next - first);
    accepted_ += taken;
    return taken;
  }

  /// Packets that the driver has accepted.
  uint64_t accepted() const noexcept { return accepted_; }

 private:
  uint16_t port_id_;
  uint16_t queue_id_;
  uint16_t burst_;
  uint64_t accepted_ = 0;  // worker: rw, others: ro once it has ended
};

}  // namespace dpdkproj
