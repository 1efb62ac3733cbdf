#pragma once

#include <rte_cycles.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace dpdkproj {

/// The cost of two consecutive readings of the TSC.
inline uint64_t overhead_cycles() noexcept {
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t start = rte_rdtsc();
    least = std::min(least, rte_rdtsc() - start);
  }
  return least;
}

/// The cost of one kind of call per packet. Each time slice gives one figure, so that slices in
/// which the thread was interrupted do not distort the median.
class Leg {
 public:
  void add(uint64_t start_tsc, std::size_t packets) noexcept {
    const uint64_t cycles = rte_rdtsc() - start_tsc;
    cycles_ += cycles - std::min(cycles, overhead_);
    packets_ += packets;
  }

  void end_slice() {
    if (packets_ > 0) {
      slices_.push_back(static_cast<double>(cycles_) / static_cast<double>(packets_));
    }
    cycles_ = 0;
    packets_ = 0;
  }

  std::string json(double ns_per_tick) {
    std::ranges::sort(slices_);
    std::array<char, 128> text{};
    if (slices_.empty()) {
      return "null";
    }
    std::snprintf(text.data(), text.size(), R"({"median": %.2f, "min": %.2f, "max": %.2f})",
                  slices_[slices_.size() / 2] * ns_per_tick, slices_.front() * ns_per_tick,
                  slices_.back() * ns_per_tick);
    return text.data();
  }

 private:
  uint64_t overhead_ = overhead_cycles();
  uint64_t cycles_ = 0;
  std::size_t packets_ = 0;
  std::vector<double> slices_;
};

struct Legs {
  Leg send;
  Leg reflect;
  Leg receive;

  void end_slice() {
    send.end_slice();
    reflect.end_slice();
    receive.end_slice();
  }
};

}  // namespace dpdkproj
