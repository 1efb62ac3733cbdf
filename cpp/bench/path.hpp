#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace dpdkproj {

/// How a path changes the order of packets.
enum class Order : int {
  kKept,
  /// Swaps the packets of each pair.
  kSwapped,
  /// Delays every other packet by `depth` packets.
  kTwoPaths,
  /// Delays each packet by less than `depth` packets, at random.
  kRandom,
};

/// A path that holds up to `depth` packets and releases them in another order.
class Path {
 public:
  Path(Order order, uint64_t depth) : order_(order), depth_(depth) {}

  bool holds_packets() const noexcept { return depth_ > 0; }

  /// Adds a packet to the path.
  void push(const uint8_t* frame, uint16_t len) {
    std::size_t slot = slots_.size();
    if (free_.empty()) {
      slots_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    slots_[slot].len = len;
    std::memcpy(slots_[slot].bytes.data(), frame, len);
    held_.emplace(leaves_at(next_), slot);
    ++next_;
  }

  /// Removes the next packet and returns its length, or 0 if none leaves before another one
  /// arrives. `flush`: no other one will arrive.
  uint16_t pop(uint8_t* frame, bool flush) {
    if (held_.empty() || (!flush && held_.size() <= depth_)) {
      return 0;
    }
    const std::size_t slot = held_.top().second;
    held_.pop();
    free_.push_back(slot);
    std::memcpy(frame, slots_[slot].bytes.data(), slots_[slot].len);
    return slots_[slot].len;
  }

 private:
  struct Slot {
    uint16_t len;
    std::array<uint8_t, 2048> bytes;
  };
  using Leaving = std::pair<uint64_t, std::size_t>;

  /// The position at which packet `index` leaves.
  uint64_t leaves_at(uint64_t index) noexcept {
    switch (order_) {
      case Order::kSwapped:
        return index ^ 1;
      case Order::kTwoPaths:
        return index % 2 == 0 ? index : index + depth_;
      case Order::kRandom:
        dice_ = dice_ * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
        return index + (dice_ >> 33) % depth_;
      case Order::kKept:
        break;
    }
    return index;
  }

  Order order_;
  uint64_t depth_;
  uint64_t next_ = 0;
  uint64_t dice_ = 1;
  std::vector<Slot> slots_;
  std::vector<std::size_t> free_;
  std::priority_queue<Leaving, std::vector<Leaving>, std::greater<>> held_;
};

}  // namespace dpdkproj
