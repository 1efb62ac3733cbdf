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

/// The slow path. Each worker hands the frames that it does not take to the control thread over a
/// ring, one per rx queue. Frames that the control thread sends go over another ring to the worker
/// of one tx queue, which sends them.
///
/// The worker sends a copy, in an mbuf from the pool that all packets of its tx queue come from, as
/// MBUF_FAST_FREE requires. The copy is placed behind the prepared bytes of the buffer, which
/// therefore stay intact.
class SlowPath {
 public:
  /// Capacity of each ring. A frame that finds its ring full is freed: a peer that gets no answer
  /// asks again. The control thread empties the rings every 5 ms, so that no flood of requests gets
  /// more answers per port than this in that time.
  static constexpr unsigned kWaiting = kSlowMbufs;

  explicit SlowPath(const Port& port);
  /// All workers must have ended.
  ~SlowPath();
  SlowPath(const SlowPath&) = delete;
  SlowPath& operator=(const SlowPath&) = delete;

  /// The worker's end of the ring of one rx queue.
  class Inlet {
   public:
    explicit Inlet(rte_ring& ring) : ring_(ring) {}

    /// Hands the packet, and its ownership, to the control thread.
    void take(rte_mbuf* mbuf) noexcept {
      if (rte_ring_sp_enqueue(&ring_, mbuf) != 0) {
        rte_pktmbuf_free(mbuf);
      }
    }

   private:
    rte_ring& ring_;
  };

  /// The worker's end of the ring for frames to send. A default-constructed outlet never has any.
  class Outlet {
   public:
    Outlet() = default;
    Outlet(rte_ring& ring, uint64_t& sent, rte_mempool* pool, uint16_t prepared)
        : ring_(&ring), sent_(&sent), pool_(pool), prepared_(prepared) {}

    /// Whether a frame waits to be sent. Call it in every poll: the line that it reads is usually
    /// in the cache, as the control thread rarely writes to it.
    bool is_waiting() const noexcept { return ring_ != nullptr && rte_ring_empty(ring_) == 0; }

    /// Sends all waiting frames on `queue`; frees those that the driver does not accept.
    void send(TxQueue& queue) noexcept;

   private:
    rte_ring* ring_ = nullptr;
    uint64_t* sent_ = nullptr;
    rte_mempool* pool_ = nullptr;
    uint16_t prepared_ = 0;
  };

  Inlet inlet(uint16_t rx_queue) { return Inlet(*to_control_.at(rx_queue)); }

  /// The outlet; there is only one. `pool` is the pool of its tx queue, whose buffers hold
  /// `prepared` prepared bytes behind the headroom.
  Outlet outlet(rte_mempool* pool, uint16_t prepared) {
    return {*to_worker_, sent_.packets, pool, prepared};
  }

  /// The control thread's end: passes received frames to `session`, and queues the frames that it
  /// sends. `port` is the index of the port in the run.
  void serve(rs::Session& session, uint16_t port, uint64_t now_ns);

  /// Starts the counter of a new run.
  void begin_counting() noexcept { sent_before_ = sent_.packets; }

  /// Frames that the driver has accepted since begin_counting(). Call only after the workers have
  /// ended.
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

  Sent sent_;
  uint64_t sent_before_ = 0;
  Mempool pool_;
  Ring to_worker_;
  std::vector<Ring> to_control_;
};

}  // namespace dpdkproj
