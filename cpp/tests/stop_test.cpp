#include "dpdk/stop.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "dpdk/clock.hpp"

namespace dpdkproj {
namespace {

using std::chrono::steady_clock;

TEST(StopRequest, EndsASleepThatWouldBeLong) {
  StopRequest stop;
  std::thread other([&stop] { stop.make(); });
  // If it slept, the test would time out.
  EXPECT_TRUE(stop.sleep(std::chrono::hours(1)));
  other.join();
  EXPECT_TRUE(stop.is_made());
  EXPECT_TRUE(stop.sleep(std::chrono::hours(1))) << "and those that come later";
}

TEST(StopRequest, LetsSleepAsLongAsNobodyMakesIt) {
  const auto before = steady_clock::now();
  EXPECT_FALSE(no_stop().sleep(std::chrono::milliseconds(20)));
  EXPECT_GE(steady_clock::now() - before, std::chrono::milliseconds(20));
}

TEST(Clock, IsNotWaitedForWhereAStopIsRequested) {
  StopRequest stop;
  stop.make();
  const auto before = steady_clock::now();
  const Clock clock(ClockReading::take(), stop);
  EXPECT_LT(steady_clock::now() - before, std::chrono::milliseconds(200));
}

}  // namespace
}  // namespace dpdkproj
