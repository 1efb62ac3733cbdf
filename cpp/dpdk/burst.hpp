#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace dpdkproj {

/// The maximum number of packets in a burst; upper limit of --rx-burst and --tx-burst.
inline constexpr uint16_t kMaxBurst = 512;

/// Bytes 16 to 47 of an mbuf: every field that is ever set in a packet to send. They are written as
/// a whole, as drivers do it, which takes two stores.
struct alignas(16) MbufFields {
  uint16_t data_off = RTE_PKTMBUF_HEADROOM;
  uint16_t refcnt = 1;
  uint16_t nb_segs = 1;
  uint16_t port = RTE_MBUF_PORT_INVALID;
  uint64_t ol_flags = 0;
  uint32_t packet_type = 0;
  uint32_t pkt_len;
  uint16_t data_len;
  uint16_t vlan_tci = 0;
  uint32_t rss = 0;

  /// A packet of `len` bytes in one segment, without offloads.
  explicit MbufFields(uint16_t len) noexcept : pkt_len(len), data_len(len) {}

  void write_to(rte_mbuf& mbuf) const noexcept {
    std::memcpy(reinterpret_cast<std::byte*>(&mbuf) + kAt, this, sizeof(*this));
  }

 private:
  static constexpr size_t kAt = offsetof(rte_mbuf, data_off);
};
static_assert(sizeof(MbufFields) == 32);
static_assert(offsetof(rte_mbuf, data_off) + offsetof(MbufFields, ol_flags) ==
              offsetof(rte_mbuf, ol_flags));
static_assert(offsetof(rte_mbuf, data_off) + offsetof(MbufFields, pkt_len) ==
              offsetof(rte_mbuf, pkt_len));
static_assert(offsetof(rte_mbuf, data_off) + offsetof(MbufFields, rss) ==
              offsetof(rte_mbuf, hash.rss));

/// Up to kMaxBurst mbufs on their way through a worker. The owner of a burst must free or send its
/// packets. The alignment keeps neighbouring workers, each of which holds a burst, from sharing a
/// cache line.
struct alignas(2 * RTE_CACHE_LINE_SIZE) Burst {
  std::array<rte_mbuf*, kMaxBurst> mbufs;
  uint16_t size = 0;

  /// Allocates `count` mbufs of `len` bytes each from `pool`, which must be a pool for sending
  /// only. If the pool has fewer, it allocates none and returns false. The data is not initialised.
  bool allocate(rte_mempool* pool, uint16_t count, uint16_t len) noexcept {
    size = 0;
    return add(pool, count, len);
  }

  /// Appends `count` mbufs to the burst. If the pool has fewer, it appends none and returns false.
  bool add(rte_mempool* pool, uint16_t count, uint16_t len) noexcept {
    rte_mbuf** more = mbufs.data() + size;
    if (rte_mempool_get_bulk(pool, reinterpret_cast<void**>(more), count) != 0) {
      return false;
    }
    size = static_cast<uint16_t>(size + count);
    // rte_pktmbuf_alloc_bulk would also touch the second cache line. That is unnecessary here: a
    // freed mbuf is a single segment again.
    const MbufFields fields(len);
    for (uint16_t i = 0; i < count; ++i) {
      fields.write_to(*more[i]);
    }
    return true;
  }

  /// Frees the packets for which `is_unwanted` returns true; it is called with each packet in
  /// order. The remaining packets close the gaps. Returns the number of freed packets.
  template <typename F>
  uint16_t free_if(F is_unwanted) noexcept {
    uint16_t kept = 0;
    for (uint16_t i = 0; i < size; ++i) {
      if (is_unwanted(*mbufs[i])) {
        rte_pktmbuf_free(mbufs[i]);
      } else {
        mbufs[kept++] = mbufs[i];
      }
    }
    const auto freed = static_cast<uint16_t>(size - kept);
    size = kept;
    return freed;
  }

  /// Frees the mbufs from index `first` on.
  void free_from(uint16_t first) noexcept {
    if (first < size) {
      rte_pktmbuf_free_bulk(mbufs.data() + first, size - first);
      size = first;
    }
  }
};

}  // namespace dpdkproj
