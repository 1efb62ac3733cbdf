#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "dataplane/control.hpp"

namespace dpdkproj {
namespace {

// StopSignals affects the whole process permanently, so each test runs in a child process and
// checks its exit code.
constexpr int kOk = 0;
constexpr int kNotInTime = 99;
constexpr int kTooEarly = 98;

/// Sends a signal to the process, as kill(1) and Ctrl-C do. (raise() signals the calling thread,
/// which blocks it.)
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

/// Sends a signal, and waits until it has been handled or discarded: a signal that is pending twice
/// is delivered once.
void send_one(int signal) {
  send(signal);
  sigset_t waiting;
  do {
    std::this_thread::yield();
    sigpending(&waiting);
  } while (sigismember(&waiting, signal) == 1);
}

/// No number of SIGHUPs ends the process at once, nor does the first SIGTERM after them.
[[noreturn]] void hang_up_again_and_again() {
  const StopSignals signals;
  for (const int signal : {SIGHUP, SIGHUP, SIGTERM, SIGHUP, SIGHUP}) {
    send_one(signal);
  }
  wait_for_request(signals);
  std::fputs("still here\n", stderr);
  send(SIGTERM);
  std::this_thread::sleep_for(std::chrono::seconds(30));
  _exit(kNotInTime);
}

[[noreturn]] void hang_up_under_nohup() {
  std::signal(SIGHUP, SIG_IGN);
  const StopSignals signals;
  // Once the second one is handled, the first one has taken effect.
  send_one(SIGHUP);
  send_one(SIGHUP);
  if (signals.requested()) {
    _exit(kTooEarly);
  }
  send(SIGTERM);
  wait_for_request(signals);
  _exit(kOk);
}

[[noreturn]] void write_beyond_the_limit() {
  const StopSignals signals;
  const rlimit one_byte{1, 1};
  std::FILE* const file = std::tmpfile();
  if (file == nullptr || setrlimit(RLIMIT_FSIZE, &one_byte) != 0) {
    _exit(kTooEarly);
  }
  const bool first = write(fileno(file), "x", 1) == 1;
  const bool second = write(fileno(file), "x", 1) == 1;
  _exit(first && !second ? kOk : kTooEarly);
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

TEST_F(StopSignalsDeathTest, ALostSessionIsARequestHoweverOftenItIsSaid) {
  EXPECT_EXIT(stop_once(SIGHUP), testing::ExitedWithCode(kOk), "");
  EXPECT_EXIT(hang_up_again_and_again(), testing::ExitedWithCode(130), "still here");
}

TEST_F(StopSignalsDeathTest, NohupIsRespected) {
  EXPECT_EXIT(hang_up_under_nohup(), testing::ExitedWithCode(kOk), "");
}

TEST_F(StopSignalsDeathTest, AFileAtItsLimitIsAnErrorOnly) {
  EXPECT_EXIT(write_beyond_the_limit(), testing::ExitedWithCode(kOk), "");
}

INSTANTIATE_TEST_SUITE_P(Signals, StopSignalsDeathTest, testing::Values(SIGINT, SIGTERM),
                         [](const auto& one) { return one.param == SIGINT ? "INT" : "TERM"; });

}  // namespace
}  // namespace dpdkproj
