#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

namespace dpdkproj {

/// The most packets that one burst holds; --burst-size goes up to it.
inline constexpr uint16_t kMaxBurst = 512;

/// Up to kMaxBurst mbufs on their way through a worker. Whoever holds a burst frees or sends what
/// is in it. Aligned, and so are workers that hold one: no two of them share a cache line.
struct alignas(2 * RTE_CACHE_LINE_SIZE) Burst {
  std::array<rte_mbuf*, kMaxBurst> mbufs;
  uint16_t size = 0;

  /// Takes `count` fresh mbufs of `len` bytes each from `pool`; false, and none, when it has not
  /// that many.
  bool allocate(rte_mempool* pool, uint16_t count, uint16_t len) noexcept {
    if (rte_pktmbuf_alloc_bulk(pool, mbufs.data(), count) != 0) {
      size = 0;
      return false;
    }
    size = count;
    for (uint16_t i = 0; i < count; ++i) {
      mbufs[i]->data_len = len;
      mbufs[i]->pkt_len = len;
    }
    return true;
  }

  /// Gives the mbufs from `first` on back to their pools.
  void free_from(uint16_t first) noexcept {
    if (first < size) {
      rte_pktmbuf_free_bulk(mbufs.data() + first, size - first);
      size = first;
    }
  }
};

}  // namespace dpdkproj
