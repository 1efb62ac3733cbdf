#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <cstdint>
#include <memory>
#include <string>

namespace dpdkproj {

/// What a mempool has to hold at the same time.
struct MempoolDemand {
  /// Mbufs in descriptors of queues.
  unsigned descriptors;
  /// Maximum packets per burst.
  unsigned burst;
  /// Maximum bytes of a packet.
  unsigned packet_len;
};

/// Size of the per-lcore cache, in mbufs. A burst larger than a third of the cache halves the
/// throughput, because half of each burst then goes through the ring that all lcores share.
unsigned mempool_cache_size(unsigned burst) noexcept;

/// Size of a mempool, in mbufs: those in queues, those that a worker holds, and those in a cache
/// (which fills up to one and a half times its size).
unsigned mempool_size(const MempoolDemand& demand) noexcept;

/// Bytes reserved in each tx buffer for a question to the reflector and its headroom, whatever the
/// packet size.
constexpr uint16_t kQuestionRoom = 512 + RTE_PKTMBUF_HEADROOM;

/// Bytes that a frame has beside its IP packet. As Ethernet counts, neither the MAC addresses nor
/// the two VLAN tags that a frame may have are part of the MTU.
constexpr uint16_t kAroundIp = RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN + RTE_ETHER_CRC_LEN;

/// The largest IP packet to send, in bytes: what fits into an mbuf beside a question, whatever the
/// MTU of the port.
constexpr uint16_t kLargestSent = UINT16_MAX - RTE_PKTMBUF_HEADROOM - kAroundIp - kQuestionRoom;

/// Mbufs of each rx queue that may wait for the control thread.
constexpr unsigned kSlowMbufs = 64;

/// Data room of each mbuf in bytes, headroom included; always less than 64 KiB.
uint16_t mempool_data_room(unsigned packet_len) noexcept;

struct MempoolDeleter {
  void operator()(rte_mempool* pool) const noexcept { rte_mempool_free(pool); }
};
using Mempool = std::unique_ptr<rte_mempool, MempoolDeleter>;

/// Calls `each` with the index and the mbuf for every mbuf of `pool`, allocated or not.
template <typename F>
void for_each_mbuf(rte_mempool* pool, F each) {
  rte_mempool_obj_iter(
      pool,
      [](rte_mempool*, void* each_one, void* mbuf, unsigned index) {
        (*static_cast<F*>(each_one))(index, static_cast<rte_mbuf*>(mbuf));
      },
      &each);
}

/// Creates a pool of mbufs on NUMA node `socket`. Throws a DpdkError.
Mempool make_mempool(const std::string& name, const MempoolDemand& demand, int socket);

}  // namespace dpdkproj
