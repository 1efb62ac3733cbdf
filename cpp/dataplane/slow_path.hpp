#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "dpdk/mempool.hpp"
#include "dpdk/port.hpp"
#include "dpdk/queue.hpp"
#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// What no worker takes goes from it to the control thread over a ring, one for each rx queue. What
/// the control thread sends goes over another one to the worker of a tx queue, which sends it.
///
/// An outlet sends a copy, in an mbuf of the pool that all packets of its tx queue are of: ports
/// that free packets fast (MBUF_FAST_FREE) want that. The copy stands behind the bytes that buffers
/// of that pool were prepared with, which therefore stay as they are.
class SlowPath {
 public:
  /// Frames that wait in each ring, at most. What finds no room is freed: who gets no answer asks
  /// again.
  static constexpr unsigned kWaiting = kSlowMbufs;

  explicit SlowPath(const Port& port);
  /// All workers have ended.
  ~SlowPath();
  SlowPath(const SlowPath&) = delete;
  SlowPath& operator=(const SlowPath&) = delete;

  /// The end of the worker of one rx queue.
  class Inlet {
   public:
    explicit Inlet(rte_ring& ring) : ring_(ring) {}

    /// The packet is the control thread's from now on.
    void take(rte_mbuf* mbuf) noexcept {
      if (rte_ring_sp_enqueue(&ring_, mbuf) != 0) {
        rte_pktmbuf_free(mbuf);
      }
    }

   private:
    rte_ring& ring_;
  };

  /// The end of the worker of one tx queue. Most have none.
  class Outlet {
   public:
    Outlet() = default;
    Outlet(rte_ring& ring, uint64_t& sent, rte_mempool* pool, uint16_t prepared)
        : ring_(&ring), sent_(&sent), pool_(pool), prepared_(prepared) {}

    /// Whether something is to be sent. To be asked in every poll: what it reads is mostly in the
    /// cache, as the control thread writes there once in a while.
    bool is_waiting() const noexcept { return ring_ != nullptr && rte_ring_empty(ring_) == 0; }

    /// Sends all that waits on `queue`. What the driver does not take is freed.
    void send(TxQueue& queue) noexcept;

   private:
    rte_ring* ring_ = nullptr;
    uint64_t* sent_ = nullptr;
    rte_mempool* pool_ = nullptr;
    uint16_t prepared_ = 0;
  };

  Inlet inlet(uint16_t rx_queue) { return Inlet(*to_control_.at(rx_queue)); }

  /// There is one. Packets of its tx queue are of `pool`, whose buffers were prepared with so many
  /// bytes behind the headroom.
  Outlet outlet(rte_mempool* pool, uint16_t prepared) {
    return {*to_worker_, sent_.packets, pool, prepared};
  }

  /// The control thread's end: hands `session` what came, and sends what it has to send.
  void serve(rs::Session& session, uint64_t now_ns);

  /// A run begins: counters do.
  void begin_counting() noexcept { sent_before_ = sent_.packets; }

  /// Packets that the driver took since begin_counting(). To be asked when the workers have ended.
  uint64_t sent() const noexcept { return sent_.packets - sent_before_; }

 private:
  struct RingDeleter {
    void operator()(rte_ring* ring) const noexcept { rte_ring_free(ring); }
  };
  using Ring = std::unique_ptr<rte_ring, RingDeleter>;

  static void clear(rte_ring& ring) noexcept;

  struct alignas(2 * RTE_CACHE_LINE_SIZE) Sent {
    uint64_t packets = 0;  // the outlet's worker: rw, others: ro once it has ended
  };

  Mempool pool_;
  std::vector<Ring> to_control_;
  Ring to_worker_;
  Sent sent_;
  uint64_t sent_before_ = 0;
};

}  // namespace dpdkproj
