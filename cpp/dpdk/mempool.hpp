#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <cstdint>
#include <memory>
#include <string>

namespace dpdkproj {

/// What a pool of mbufs has to hold at once.
struct MempoolDemand {
  /// Mbufs that queues hold.
  unsigned descriptors;
  /// Packets per burst, at most.
  unsigned burst;
  /// Bytes of a packet, at most.
  unsigned packet_len;
};

/// Mbufs in a per-lcore cache. A burst larger than a third of it halves throughput, because half
/// of each burst then goes through the ring that all lcores share.
unsigned mempool_cache_size(unsigned burst) noexcept;

/// Mbufs in a pool: those in queues, those in the hands of a worker, and those that rest in a cache
/// (which fills up to one and a half times its size).
unsigned mempool_size(const MempoolDemand& demand) noexcept;

/// Bytes of a buffer of a tx pool that are left for a question to the reflector, whatever the size
/// of packets.
constexpr uint16_t kQuestionRoom = 512;

/// The largest IPv4 packet that is sent, in bytes: what one mbuf holds beside a question, whatever
/// a port's MTU.
constexpr uint16_t kLargestSent =
    UINT16_MAX - RTE_PKTMBUF_HEADROOM - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN - kQuestionRoom;

/// Mbufs of each rx queue that may wait for the control thread.
constexpr unsigned kSlowMbufs = 64;

/// Bytes of data room of each mbuf, headroom included; what an mbuf can have is less than 64 KiB.
uint16_t mempool_data_room(unsigned packet_len) noexcept;

struct MempoolDeleter {
  void operator()(rte_mempool* pool) const noexcept { rte_mempool_free(pool); }
};
using Mempool = std::unique_ptr<rte_mempool, MempoolDeleter>;

/// Calls `each` with the index of every mbuf of `pool`, in use or not, and the mbuf.
template <typename F>
void for_each_mbuf(rte_mempool* pool, F each) {
  rte_mempool_obj_iter(
      pool,
      [](rte_mempool*, void* each_one, void* mbuf, unsigned index) {
        (*static_cast<F*>(each_one))(index, static_cast<rte_mbuf*>(mbuf));
      },
      &each);
}

/// A pool of mbufs on NUMA node `socket`.
Mempool make_mempool(const std::string& name, const MempoolDemand& demand, int socket);

}  // namespace dpdkproj
