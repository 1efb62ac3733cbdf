#pragma once

#include <rte_ethdev.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "dpdk/burst.hpp"
#include "dpdk/fault_guard.hpp"

namespace dpdkproj {

// The worker of a queue writes its counter; others read it after the worker has ended. Each queue
// has its own cache lines.

/// One rx queue of a started port.
class alignas(2 * RTE_CACHE_LINE_SIZE) RxQueue {
 public:
  /// `checks`: the port verifies checksums, and flags packets in which one is wrong. `guards`: its
  /// driver needs FaultGuard.
  RxQueue(uint16_t port_id, uint16_t queue_id, uint16_t burst, bool checks, bool guards = false)
      : port_id_(port_id), queue_id_(queue_id), burst_(burst), checks_(checks), guards_(guards) {}

  /// Receives up to --rx-burst packets into `burst`, whose previous content is overwritten.
  void receive(Burst& burst) noexcept {
    burst.size = guards_ ? FaultGuard::rx_burst(port_id_, queue_id_, burst.mbufs.data(), burst_)
                         : rte_eth_rx_burst(port_id_, queue_id_, burst.mbufs.data(), burst_);
    delivered_ += burst.size;
    if (checks_) {
      count_flagged(burst);
    }
    found_ = burst.size;
    ++polls_since_asked_;
    if (burst.size < burst_) {
      full_run_ = 0;
      return;
    }
    ++full_run_;
    if (polls_since_asked_ >= kPollsPerQuestion && std::has_single_bit(full_run_)) {
      add_waiting();
    }
  }

  /// For the worker: the number of packets that were in the queue at the last receive(): those that
  /// it returned and, where it called rte_eth_rx_queue_count, those still waiting. 0 if there were
  /// none, or if the driver does not support that call.
  uint32_t backlog() const noexcept { return tells_ ? found_ : 0; }

  /// Finds out whether the driver supports rte_eth_rx_queue_count. Call it when the port is
  /// started, and before a worker polls the queue.
  void find_out() noexcept { tells_ = rte_eth_rx_queue_count(port_id_, queue_id_) >= 0; }

  /// Packets delivered by the driver.
  uint64_t delivered() const noexcept { return delivered_; }

  /// Of the delivered packets, those that the port flagged for a wrong IPv4 or UDP checksum.
  uint64_t flagged() const noexcept { return flagged_; }

 private:
  static bool is_flagged(uint64_t flags) noexcept {
    return (flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD ||
           (flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD;
  }

  void count_flagged(const Burst& burst) noexcept {
    constexpr uint64_t kBad = RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD;
    uint64_t any = 0;
    for (uint16_t i = 0; i < burst.size; ++i) {
      any |= burst.mbufs[i]->ol_flags;
    }
    if ((any & kBad) == 0) [[likely]] {
      return;
    }
    for (uint16_t i = 0; i < burst.size; ++i) {
      flagged_ += is_flagged(burst.mbufs[i]->ol_flags) ? 1 : 0;
    }
  }

  /// In some drivers, rte_eth_rx_queue_count visits every used descriptor. It is therefore called
  /// rarely: only after a full burst (after a shorter one the queue is empty), in a run of full
  /// bursts only after the 1st, 2nd, 4th, 8th and so on, and at most once in this many polls. Only
  /// the thread that polls the queue may call it.
  static constexpr uint32_t kPollsPerQuestion = 64;

  [[gnu::noinline, gnu::cold]] void add_waiting() noexcept {
    polls_since_asked_ = 0;
    if (tells_) {
      found_ += static_cast<uint32_t>(std::max(0, rte_eth_rx_queue_count(port_id_, queue_id_)));
    }
  }

  uint16_t port_id_;
  uint16_t queue_id_;
  uint16_t burst_;
  bool checks_;
  bool guards_;
  bool tells_ = false;
  // worker: rw
  uint32_t found_ = 0;
  uint32_t full_run_ = 0;
  uint32_t polls_since_asked_ = kPollsPerQuestion;
  uint64_t delivered_ = 0;  // worker: rw, others: ro once it has ended
  uint64_t flagged_ = 0;    // likewise
};

/// One tx queue of a started port.
class alignas(2 * RTE_CACHE_LINE_SIZE) TxQueue {
 public:
  /// `prepares`: packets request offloads beyond checksums, which some drivers do in
  /// rte_eth_tx_prepare (net_virtio inserts VLAN tags there). `guards`: its driver needs
  /// FaultGuard.
  TxQueue(uint16_t port_id, uint16_t queue_id, uint16_t burst, bool prepares, bool guards = false)
      : port_id_(port_id),
        queue_id_(queue_id),
        burst_(burst),
        prepares_(prepares),
        guards_(guards) {}

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
      rte_mbuf** const packets = burst.mbufs.data() + next;
      const uint16_t accepted = guards_
                                    ? FaultGuard::tx_burst(port_id_, queue_id_, packets, offered)
                                    : rte_eth_tx_burst(port_id_, queue_id_, packets, offered);
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
  bool guards_;
  uint64_t accepted_ = 0;  // worker: rw, others: ro once it has ended
};

}  // namespace dpdkproj
