#include "dpdk/clock.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace dpdkproj {
namespace {

uint64_t monotonic_ns() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(since).count());
}

/// Adds 1 % to `ns`, far more than the two clocks can differ.
uint64_t a_little_more(uint64_t ns) { return ns + ns / 100; }

TEST(NsPerCycle, IsExact) {
  constexpr uint64_t kOne = uint64_t{1} << 32;
  EXPECT_EQ(ns_per_cycle({0, 0}, {1'000'000'000, 1'000'000'000}), kOne);
  EXPECT_EQ(ns_per_cycle({0, 0}, {4'000'000'000, 1'000'000'000}), kOne / 4);
  EXPECT_EQ(ns_per_cycle({0, 0}, {2'595'124'000, 1'000'000'000}), 1'655'014'286);
  // Only the difference of the readings matters.
  EXPECT_EQ(ns_per_cycle({77, 5'000}, {77 + 400, 5'000 + 100}), kOne / 4);
}

TEST(NsPerCycle, BearsReadingsThatAreAYearApart) {
  constexpr uint64_t kYearNs = 31'536'000'000'000'000;
  EXPECT_EQ(ns_per_cycle({0, 0}, {kYearNs * 2, kYearNs}), uint64_t{1} << 31);
}

TEST(ClockReading, IsTakenBetweenItsNeighbours) {
  const uint64_t before = monotonic_ns();
  const uint64_t before_tsc = rte_rdtsc();
  const ClockReading reading = ClockReading::take();
  const uint64_t after_tsc = rte_rdtsc();
  const uint64_t after = monotonic_ns();
  EXPECT_GE(reading.monotonic_ns, before);
  EXPECT_LE(reading.monotonic_ns, after);
  EXPECT_GE(reading.tsc, before_tsc);
  EXPECT_LE(reading.tsc, after_tsc);
}

TEST(Clock, BeginsAtItsConstruction) {
  const ClockReading earlier = ClockReading::take();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const uint64_t before = monotonic_ns();
  const Clock clock(earlier);
  const uint64_t now = clock.now_ns();
  EXPECT_LE(now, a_little_more(monotonic_ns() - before));
}

TEST(Clock, NeverRunsBackwards) {
  const Clock clock(ClockReading::take());
  uint64_t last = 0;
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t now = clock.now_ns();
    ASSERT_GE(now, last);
    last = now;
  }
}

// This thread may be descheduled between two readings for any time: the clock must lie between the
// times taken just outside and just inside.
TEST(Clock, RunsAsFastAsClockMonotonic) {
  const Clock clock(ClockReading::take());
  const uint64_t before_first = monotonic_ns();
  const uint64_t first = clock.now_ns();
  const uint64_t after_first = monotonic_ns();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const uint64_t before_last = monotonic_ns();
  const uint64_t last = clock.now_ns();
  const uint64_t after_last = monotonic_ns();
  EXPECT_GE(a_little_more(last - first), before_last - after_first);
  EXPECT_LE(last - first, a_little_more(after_last - before_first));
}

}  // namespace
}  // namespace dpdkproj
