#pragma once

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "dpdk/burst.hpp"
#include "dpdkproj_rs/ffi.h"
#include "rust/cxx.h"

namespace dpdkproj {

/// The frames through which Rust sees a burst; one object per worker, used again for each burst.
class Frames {
 public:
  Frames() = default;
  /// Nothing moves along: between bursts what is in it is of no use, and slices point into it.
  Frames(Frames&& /*from*/) noexcept {}
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;
  Frames& operator=(Frames&&) = delete;
  ~Frames() = default;

  /// The packets of `burst`. Packets in several segments are joined where the first has room;
  /// otherwise Rust sees the first segment and the length of the whole.
  rust::Slice<rs::Frame> of(Burst& burst) noexcept {
    for (uint16_t i = 0; i < burst.size; ++i) {
      rte_mbuf* mbuf = burst.mbufs[i];
      if (mbuf->nb_segs > 1) [[unlikely]] {
        rte_pktmbuf_linearize(mbuf);
      }
      rs::Frame& frame = frames_[i];
      frame.data = rte_pktmbuf_mtod(mbuf, uint8_t*);
      // Mostly another core or a device wrote it: all of a burst are on their way before the first
      // one is looked at.
      rte_prefetch0(frame.data);
      frame.len = mbuf->data_len;
      frame.wire_len = mbuf->pkt_len;
    }
    return slice(burst.size);
  }

  /// The same for a burst that was just allocated, `len` bytes each: all but the buffer's address
  /// is known, and not read back from mbufs that were written a moment ago.
  rust::Slice<rs::Frame> of_allocated(const Burst& burst, uint16_t len) noexcept {
    // All but the address in one store, which a compiler does not make of an assignment.
    const rs::Frame frame{nullptr, len, len, rs::Verdict::Drop, 0};
    constexpr size_t kAllButData = sizeof(frame) - offsetof(rs::Frame, wire_len);
    const uint16_t size = burst.size;
    for (uint16_t i = 0; i < size; ++i) {
      frames_[i].data = static_cast<uint8_t*>(burst.mbufs[i]->buf_addr) + RTE_PKTMBUF_HEADROOM;
      std::memcpy(&frames_[i].wire_len, &frame.wire_len, kAllButData);
    }
    return slice(size);
  }

  /// The packets of the last of(), for reading.
  rust::Slice<const rs::Frame> read() const noexcept { return read_; }

  /// What Rust wants done with packet `i` of the last of().
  const rs::Frame& operator[](uint16_t i) const noexcept { return frames_[i]; }

  /// Keeps in `burst`, in their order, the packets of the last of() that Rust wants sent, and frees
  /// the others.
  void drop_unwanted(Burst& burst) noexcept {
    uint16_t kept = 0;
    uint16_t dropped = 0;
    std::array<rte_mbuf*, kMaxBurst> unwanted;
    for (uint16_t i = 0; i < burst.size; ++i) {
      if (frames_[i].verdict != rs::Verdict::Drop) [[likely]] {
        burst.mbufs[kept++] = burst.mbufs[i];
      } else {
        unwanted[dropped++] = burst.mbufs[i];
      }
    }
    if (dropped > 0) [[unlikely]] {
      rte_pktmbuf_free_bulk(unwanted.data(), dropped);
    }
    burst.size = kept;
  }

 private:
  /// As making a slice is a call into Rust, and full bursts are all as long, those of the last
  /// burst are kept.
  rust::Slice<rs::Frame> slice(uint16_t size) noexcept {
    if (size != written_.size()) {
      written_ = {frames_.data(), size};
      read_ = {frames_.data(), size};
    }
    return written_;
  }

  rust::Slice<rs::Frame> written_;
  rust::Slice<const rs::Frame> read_;
  std::array<rs::Frame, kMaxBurst> frames_{};
};

}  // namespace dpdkproj
