#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "dataplane/control.hpp"

namespace dpdkproj {
namespace {

// StopSignals is for the whole process and for good, so each test is in a child: its exit code
// tells.
constexpr int kOk = 0;
constexpr int kNotInTime = 99;
constexpr int kTooEarly = 98;

/// To the process, as kill(1) and Ctrl-C do. (raise() is for the calling thread, which blocks it.)
void send(int signal) { kill(getpid(), signal); }

void wait_for_request(const StopSignals& signals) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!signals.requested()) {
    if (std::chrono::steady_clock::now() > until) {
      _exit(kNotInTime);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

class StopSignalsDeathTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

[[noreturn]] void stop_once(int signal) {
  const StopSignals signals;
  if (signals.requested()) {
    _exit(kTooEarly);
  }
  send(signal);
  wait_for_request(signals);
  _exit(kOk);
}

[[noreturn]] void stop_twice(int signal) {
  const StopSignals signals;
  send(signal);
  wait_for_request(signals);
  send(signal);
  std::this_thread::sleep_for(std::chrono::seconds(30));
  _exit(kNotInTime);
}

[[noreturn]] void write_to_a_closed_pipe() {
  const StopSignals signals;
  std::array<int, 2> ends;
  if (pipe(ends.data()) != 0) {
    _exit(kTooEarly);
  }
  close(ends[0]);
  const ssize_t written = write(ends[1], "x", 1);
  _exit(written == -1 && !signals.requested() ? kOk : kTooEarly);
}

TEST_P(StopSignalsDeathTest, TheFirstIsARequest) {
  EXPECT_EXIT(stop_once(GetParam()), testing::ExitedWithCode(kOk), "");
}

TEST_P(StopSignalsDeathTest, TheSecondEndsTheProcess) {
  EXPECT_EXIT(stop_twice(GetParam()), testing::ExitedWithCode(130), "");
}

TEST_F(StopSignalsDeathTest, APipeWithoutReaderIsAnErrorOnly) {
  EXPECT_EXIT(write_to_a_closed_pipe(), testing::ExitedWithCode(kOk), "");
}

INSTANTIATE_TEST_SUITE_P(Signals, StopSignalsDeathTest, testing::Values(SIGINT, SIGTERM),
                         [](const auto& one) { return one.param == SIGINT ? "INT" : "TERM"; });

}  // namespace
}  // namespace dpdkproj
