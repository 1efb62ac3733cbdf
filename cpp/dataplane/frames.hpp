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

/// The frames that describe a burst to Rust; one object per worker, reused for each burst.
class Frames {
 public:
  Frames() = default;
  /// Takes over nothing: the content is only valid within a poll, and the cached slices point into
  /// the other object.
  Frames(Frames&& /*from*/) noexcept {}
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;
  Frames& operator=(Frames&&) = delete;
  ~Frames() = default;

  /// Describes the packets of `burst`. Segments of a packet are joined if the first one has room;
  /// otherwise Rust sees the first segment and the total length.
  Frames& of(Burst& burst) noexcept {
    const uint16_t size = burst.size;
    size_ = size;
    for (uint16_t i = 0; i < size; ++i) {
      rte_mbuf* mbuf = burst.mbufs[i];
      if (mbuf->nb_segs > 1) [[unlikely]] {
        set_joined(frames_[i], *mbuf);
        continue;
      }
      frames_[i].data = rte_pktmbuf_mtod(mbuf, uint8_t*);
      // Another core or a device has usually written the data: prefetch all of the burst before
      // Rust reads the first packet.
      rte_prefetch0(frames_[i].data);
      set_all_but_data(frames_[i], mbuf->data_len, 0);
    }
    return *this;
  }

  /// Like of(), for a burst whose packets from index `first` on were just allocated with `len`
  /// bytes each. Only the address of the buffer is read; everything else is known, so nothing is
  /// read back from mbufs that were written a moment ago. Frames before `first` keep their content.
  Frames& of_allocated(const Burst& burst, uint16_t first, uint16_t len) noexcept {
    size_ = burst.size;
    for (uint16_t i = first; i < size_; ++i) {
      frames_[i].data = static_cast<uint8_t*>(burst.mbufs[i]->buf_addr) + RTE_PKTMBUF_HEADROOM;
      set_all_but_data(frames_[i], len, 0);
    }
    return *this;
  }

  /// All frames, for Rust to write.
  rust::Slice<rs::Frame> writable() noexcept { return writable_.of(frames_.data(), size_); }

  /// All frames, for Rust to read.
  rust::Slice<const rs::Frame> readable() noexcept { return readable_.of(frames_.data(), size_); }

  /// For a worker that sends none of these packets back: calls `slow` with each packet that the
  /// last verdicts pass to the control thread, which takes ownership, frees the others, and leaves
  /// `burst` empty.
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

  /// The frame of packet `i` of the burst last passed to of(), with Rust's verdict.
  const rs::Frame& operator[](uint16_t i) const noexcept { return frames_[i]; }

  /// Turns the packets of `burst` around, so that they go back to their senders. Frees all packets
  /// that cannot be sent back, which are all but complete UDP packets to a unicast address with a
  /// TTL above 1, and returns how many it freed. For `partial_checksums` see
  /// Port::may_deliver_partial_checksums.
  uint16_t turn_round(Burst& burst, bool partial_checksums) noexcept {
    const uint16_t before = burst.size;
    if (rs::turn_round(of(burst).writable(), partial_checksums)) [[unlikely]] {
      drop_unwanted(burst, [](rte_mbuf* mbuf) { rte_pktmbuf_free(mbuf); });
    }
    return static_cast<uint16_t>(before - burst.size);
  }

  /// Applies Rust's verdicts on the burst last passed to of(): keeps the packets to send in
  /// `burst`, in order, calls `slow` with each packet for the control thread, which takes
  /// ownership, and frees the others.
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
  /// Compiles to one store, unlike an assignment.
  static void set_all_but_data(rs::Frame& frame, uint16_t len, uint16_t rest) noexcept {
    const rs::Frame wanted{nullptr, len, rest, 0, rs::Verdict::Send};
    static_assert(offsetof(rs::Frame, len) == sizeof(wanted.data));
    std::memcpy(&frame.len, &wanted.len, sizeof(frame) - sizeof(wanted.data));
  }

  /// Joins the segments of `mbuf` if the first one has room. If not, the number of bytes in further
  /// segments is at most UINT16_MAX, which exceeds the length of every packet that is accepted.
  [[gnu::noinline, gnu::cold]] static void set_joined(rs::Frame& frame, rte_mbuf& mbuf) noexcept {
    rte_pktmbuf_linearize(&mbuf);
    const uint32_t rest = std::min<uint32_t>(mbuf.pkt_len - mbuf.data_len, UINT16_MAX);
    frame.data = rte_pktmbuf_mtod(&mbuf, uint8_t*);
    set_all_but_data(frame, mbuf.data_len, static_cast<uint16_t>(rest));
  }

  /// The slice of the previous burst, reused if the next one has the same size, as full bursts
  /// have. Creating a rust::Slice, and even reading its size, is a call into Rust. It also writes
  /// the slice as two words that are then read as one, which stalls the core (no store forwarding).
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
