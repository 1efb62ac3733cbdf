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

  /// Takes `count` mbufs of `len` bytes each from `pool`, a pool of which packets are only sent;
  /// false, and none, when it has not that many. Their memory is as it was left.
  bool allocate(rte_mempool* pool, uint16_t count, uint16_t len) noexcept {
    if (rte_mempool_get_bulk(pool, reinterpret_cast<void**>(mbufs.data()), count) != 0) {
      size = 0;
      return false;
    }
    size = count;
    // What is freed is a single segment with one owner again. Of the rest only this is ever set in
    // a packet that is sent; rte_pktmbuf_alloc_bulk would also touch a second cache line.
    for (uint16_t i = 0; i < count; ++i) {
      rte_pktmbuf_reset_headroom(mbufs[i]);
      mbufs[i]->ol_flags = 0;
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
