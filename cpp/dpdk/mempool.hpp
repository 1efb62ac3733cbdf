#pragma once

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

/// Bytes of data room of each mbuf, headroom included; what an mbuf can have is less than 64 KiB.
uint16_t mempool_data_room(unsigned packet_len) noexcept;

struct MempoolDeleter {
  void operator()(rte_mempool* pool) const noexcept { rte_mempool_free(pool); }
};
using Mempool = std::unique_ptr<rte_mempool, MempoolDeleter>;

/// A pool of mbufs on NUMA node `socket`.
Mempool make_mempool(const std::string& name, const MempoolDemand& demand, int socket);

}  // namespace dpdkproj
