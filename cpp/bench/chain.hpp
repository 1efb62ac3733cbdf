#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "dpdk/clock.hpp"
#include "dpdkproj_rs/ffi.h"
#include "legs.hpp"
#include "path.hpp"
#include "rust/cxx.h"

namespace dpdkproj {

inline constexpr uint16_t kBurst = 32;
inline constexpr rs::MacAddress kMac{{2, 0, 0, 0, 0, 1}};

/// Bursts of frames in plain memory, used in turn.
class Buffers {
 public:
  Buffers() : lines_(kBursts * kBurst * kLinesApart) {}

  /// Calls `each` with the index of every buffer and a frame that spans it.
  template <typename F>
  void for_each(F each) {
    for (std::size_t i = 0; i < kBursts * kBurst; ++i) {
      rs::Frame frame{lines_[i * kLinesApart].bytes.data(), kRoom, 0, 0, rs::Verdict::Send};
      each(i, frame);
    }
  }

  /// The next burst, with frames of `frame_len` bytes.
  rust::Slice<rs::Frame> next(uint16_t frame_len) noexcept {
    turn_ = (turn_ + 1) % kBursts;
    for (std::size_t i = 0; i < kBurst; ++i) {
      frames_[i].data = lines_[(turn_ * kBurst + i) * kLinesApart].bytes.data();
      frames_[i].len = frame_len;
      frames_[i].rest = 0;
      frames_[i].verdict = rs::Verdict::Send;
    }
    return {frames_.data(), kBurst};
  }

 private:
  struct alignas(64) Line {
    std::array<uint8_t, 64> bytes;
  };
  /// Like the mbufs of a mempool: 2 KiB of data plus the structure in front of it. (With a stride
  /// of exactly 2 KiB, the headers of a whole burst would fall into two sets of the L1 cache.)
  static constexpr uint16_t kRoom = 2048;
  static constexpr std::size_t kLinesApart = (kRoom + 320) / sizeof(Line);
  /// About as many frames as circulate in the cache of a mempool.
  static constexpr std::size_t kBursts = 8;

  std::vector<Line> lines_;
  std::array<rs::Frame, kBurst> frames_{};
  std::size_t turn_ = 0;
};

/// The configuration that these arguments ask for.
rust::Box<rs::Config> parse(const std::vector<std::string>& args);

/// sendrecv and reflect, connected by a copy: each burst is built, turned around and verified on
/// the same thread. A copy, as a real path makes one: the sender's buffers still hold its packets
/// when they are used again.
class Chain {
 public:
  explicit Chain(const Clock& clock);

  /// Executes the current run of `session`, for `duration_ns` unless it ends by itself, with a
  /// burst every `gap_ns`. `at_once` packets of a burst share a send time. `path` lies between
  /// reflector and receiver.
  void go(rs::Session& session, uint16_t frame_len, uint64_t duration_ns, uint64_t gap_ns,
          uint16_t at_once, Path path, Legs& legs);

  void finish(rs::Session& session) const;

  void finish_reflector();

  uint64_t sent() const noexcept { return sent_; }

 private:
  /// Exchanges questions and answers of the slow path.
  void converse(rs::Session& session, uint64_t now_ns);

  void exchange(rs::Sender& sender, rs::Receiver& receiver, const Clock& clock, uint16_t frame_len,
                Legs& legs);

  rust::Slice<rs::Frame> copied(rust::Slice<rs::Frame> from, uint16_t frame_len) noexcept;

  /// Pushes the frames of a burst into the path, and returns those that come out. An empty burst
  /// flushes the path.
  rust::Slice<rs::Frame> past_the_path(rust::Slice<rs::Frame> from, uint16_t frame_len);

  /// The clock of the reflector; each run has its own.
  Clock clock_;
  rust::Box<rs::Config> config_;
  rust::Box<rs::Session> reflecting_;
  rust::Box<rs::Reflector> reflector_;
  Buffers sending_;
  Buffers arriving_;
  Buffers leaving_;
  Path path_{Order::kKept, 0};
  /// Packets that are sent at the same time.
  uint16_t at_once_ = kBurst;
  /// Packets of the current run, and of the reflector in all runs.
  uint64_t sent_ = 0;
  uint64_t returned_ = 0;
  uint64_t reflector_got_ = 0;
  uint64_t reflector_sent_ = 0;
};

}  // namespace dpdkproj
