#include "dpdk/mempool.hpp"

#include <rte_errno.h>

#include <algorithm>

#include "dpdk/error.hpp"

namespace dpdkproj {

unsigned mempool_cache_size(unsigned burst) noexcept {
  constexpr unsigned kBurstsPerCache = 3;
  constexpr unsigned kLargest = RTE_MEMPOOL_CACHE_MAX_SIZE;
  return std::min(burst * kBurstsPerCache, kLargest);
}

unsigned mempool_size(const MempoolDemand& demand) noexcept {
  const unsigned cached = mempool_cache_size(demand.burst) * 3 / 2;
  return demand.descriptors + 2 * demand.burst + cached;
}

uint16_t mempool_data_room(unsigned packet_len) noexcept {
  // Drivers round the room down, to 1 KiB at worst; larger packets would then arrive in segments.
  constexpr unsigned kGrain = 1024;
  constexpr unsigned kUsual = RTE_MBUF_DEFAULT_DATAROOM;
  constexpr unsigned kLargest = UINT16_MAX - RTE_PKTMBUF_HEADROOM;
  return static_cast<uint16_t>(std::clamp(RTE_ALIGN_CEIL(packet_len, kGrain), kUsual, kLargest) +
                               RTE_PKTMBUF_HEADROOM);
}

Mempool make_mempool(const std::string& name, const MempoolDemand& demand, int socket) {
  const unsigned count = mempool_size(demand);
  const uint16_t room = mempool_data_room(demand.packet_len);
  rte_mempool* pool = rte_pktmbuf_pool_create(name.c_str(), count, mempool_cache_size(demand.burst),
                                              0, room, socket);
  if (pool == nullptr) {
    const uint64_t mib = count * (room + sizeof(rte_mbuf)) >> 20;
    throw DpdkError("mempool " + name + " of " + std::to_string(count) + " mbufs, about " +
                        std::to_string(mib + 1) + " MiB",
                    rte_errno,
                    "give EAL more memory (hugepages, or -m with --no-huge) or lower "
                    "--rx-descriptors, --tx-descriptors, -r, -t, --rx-burst, --tx-burst or the "
                    "delay of --impair");
  }
  return Mempool(pool);
}

}  // namespace dpdkproj
