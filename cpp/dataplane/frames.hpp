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

  /// Of the packets of `burst`. Packets in several segments are joined where the first has room;
  /// otherwise Rust sees the first segment and the length of the whole.
  Frames& of(Burst& burst) noexcept {
    size_ = burst.size;
    for (uint16_t i = 0; i < size_; ++i) {
      rte_mbuf* mbuf = burst.mbufs[i];
      uint16_t rest = 0;
      if (mbuf->nb_segs > 1) [[unlikely]] {
        rest = joined(*mbuf);
      }
      frames_[i].data = rte_pktmbuf_mtod(mbuf, uint8_t*);
      // Mostly another core or a device wrote it: all of a burst are on their way before the first
      // one is looked at.
      rte_prefetch0(frames_[i].data);
      set_all_but_data(frames_[i], mbuf->data_len, rest);
    }
    return *this;
  }

  /// The same for a burst whose packets from place `first` on were just allocated, `len` bytes
  /// each: all but the buffer's address is known, and not read back from mbufs that were written a
  /// moment ago. Those before are as they were.
  Frames& of_allocated(const Burst& burst, uint16_t first, uint16_t len) noexcept {
    size_ = burst.size;
    for (uint16_t i = first; i < size_; ++i) {
      frames_[i].data = static_cast<uint8_t*>(burst.mbufs[i]->buf_addr) + RTE_PKTMBUF_HEADROOM;
      set_all_but_data(frames_[i], len, 0);
    }
    return *this;
  }

  /// All of them, for Rust to write.
  rust::Slice<rs::Frame> writable() noexcept { return writable_.of(frames_.data(), size_); }

  /// All of them, for Rust to read.
  rust::Slice<const rs::Frame> readable() noexcept { return readable_.of(frames_.data(), size_); }

  /// The same for a worker that sends none of them back.
  template <typename F>
  [[gnu::noinline, gnu::cold]] void drop_all(Burst& burst, F slow) noexcept {
    for (uint16_t i = 0; i < burst.size; ++i) {
      if (frames_[i].verdict == rs::Verdict::Slow) {
        slow(burst.mbufs[i]);
      } else {
        rte_pktmbuf_free(burst.mbufs[i]);
      }
    }
    burst.size = 0;
  }

  /// What Rust wants done with packet `i` of the last of().
  const rs::Frame& operator[](uint16_t i) const noexcept { return frames_[i]; }

  /// Turns the packets of `burst` round, so that they go back to where they came from. Frees those
  /// that cannot be: all but whole UDP packets that were sent to one host and may take another hop.
  /// Returns how many that were. For `partial_checksums` see Port::may_deliver_partial_checksums.
  uint16_t turn_round(Burst& burst, bool partial_checksums) noexcept {
    const uint16_t before = burst.size;
    if (rs::turn_round(of(burst).writable(), partial_checksums)) [[unlikely]] {
      drop_unwanted(burst, [](rte_mbuf* mbuf) { rte_pktmbuf_free(mbuf); });
    }
    return static_cast<uint16_t>(before - burst.size);
  }

  /// Keeps in `burst`, in their order, the packets of the last of() that Rust wants sent, calls
  /// `slow` with each that is for the control thread, which is the callee's from then on, and frees
  /// the others.
  template <typename F>
  void drop_unwanted(Burst& burst, F slow) noexcept {
    uint16_t kept = 0;
    uint16_t dropped = 0;
    std::array<rte_mbuf*, kMaxBurst> unwanted;
    for (uint16_t i = 0; i < burst.size; ++i) {
      rte_mbuf* mbuf = burst.mbufs[i];
      if (frames_[i].verdict == rs::Verdict::Drop) [[unlikely]] {
        unwanted[dropped++] = mbuf;
      } else if (frames_[i].verdict == rs::Verdict::Slow) [[unlikely]] {
        slow(mbuf);
      } else {
        burst.mbufs[kept++] = mbuf;
      }
    }
    if (dropped > 0) [[unlikely]] {
      rte_pktmbuf_free_bulk(unwanted.data(), dropped);
    }
    burst.size = kept;
  }

 private:
  /// In one store, which a compiler does not make of an assignment.
  static void set_all_but_data(rs::Frame& frame, uint16_t len, uint16_t rest) noexcept {
    const rs::Frame wanted{nullptr, len, rest, 0, rs::Verdict::Send};
    static_assert(offsetof(rs::Frame, len) == sizeof(wanted.data));
    std::memcpy(&frame.len, &wanted.len, sizeof(frame) - sizeof(wanted.data));
  }

  /// Makes one segment of those of `mbuf` where the first one has room; how many bytes are in
  /// further ones then. As many as a frame can say are more than any packet has that is taken.
  [[gnu::noinline, gnu::cold]] static uint16_t joined(rte_mbuf& mbuf) noexcept {
    rte_pktmbuf_linearize(&mbuf);
    return static_cast<uint16_t>(std::min<uint32_t>(mbuf.pkt_len - mbuf.data_len, UINT16_MAX));
  }

  /// A slice of the last burst, with its size: full bursts are all as long. To make a slice, and
  /// even to ask for its size, is a call into Rust; what it writes as two words is then read as
  /// one, and a core waits for that.
  template <typename F>
  struct Kept {
    rust::Slice<F> slice;
    uint16_t size = 0;

    rust::Slice<F> of(F* first, uint16_t wanted) noexcept {
      if (size != wanted) {
        slice = {first, wanted};
        size = wanted;
      }
      return slice;
    }
  };

  uint16_t size_ = 0;
  Kept<rs::Frame> writable_;
  Kept<const rs::Frame> readable_;
  std::array<rs::Frame, kMaxBurst> frames_{};
};

}  // namespace dpdkproj
