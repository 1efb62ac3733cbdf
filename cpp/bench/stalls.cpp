#include <rte_cycles.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "bench.hpp"
#include "dpdk/clock.hpp"

namespace dpdkproj {

void bench_stalls(double seconds, unsigned cpu) {
  // The threshold of a stall in the sender's statistics, and one of the error limits in its
  // `pacing` table.
  constexpr uint64_t kStallNs = 10'000;
  constexpr uint64_t kErrorNs = 256;
  constexpr double kNsPerSecond = 1e9;
  pin_to(cpu);
  const Clock clock(ClockReading::take());
  const auto end_ns = clock.now_ns() + static_cast<uint64_t>(seconds * kNsPerSecond);
  const uint64_t start_ns = clock.now_ns();
  uint64_t last_ns = start_ns;
  uint64_t stalls = 0;
  uint64_t stall_ns = 0;
  uint64_t stall_max_ns = 0;
  uint64_t away_ns = 0;
  while (last_ns < end_ns) {
    const uint64_t now_ns = clock.now_ns();
    const uint64_t gap_ns = now_ns - last_ns;
    last_ns = now_ns;
    if (gap_ns <= kErrorNs) [[likely]] {
      continue;
    }
    away_ns += gap_ns;
    if (gap_ns > kStallNs) {
      ++stalls;
      stall_ns += gap_ns;
      stall_max_ns = std::max(stall_max_ns, gap_ns);
    }
  }
  const auto all = static_cast<double>(last_ns - start_ns);
  std::printf(
      "{\"seconds\": %.3f, \"stalls\": %llu, \"stall_share\": %.6f, \"stall_max_ns\": %llu, "
      "\"over_256_ns_share\": %.6f}\n",
      all / kNsPerSecond, static_cast<unsigned long long>(stalls),
      static_cast<double>(stall_ns) / all, static_cast<unsigned long long>(stall_max_ns),
      static_cast<double>(away_ns) / all);
}

}  // namespace dpdkproj
