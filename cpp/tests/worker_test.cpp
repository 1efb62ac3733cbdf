#include "dataplane/worker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace dpdkproj {
namespace {

struct Polls {
  void poll(uint64_t now_ns) noexcept;
};
struct PollsAndDrains {
  void poll(uint64_t now_ns) noexcept;
  void drain(uint64_t now_ns) noexcept;
};
struct MayThrow {
  void poll(uint64_t now_ns);
};
struct MayThrowInDrain {
  void poll(uint64_t now_ns) noexcept;
  void drain(uint64_t now_ns);
};
struct PollsWithoutTime {
  void poll() noexcept;
};
struct OnlyDrains {
  void drain(uint64_t now_ns) noexcept;
};
static_assert(Worker<Polls> && !Drainable<Polls>);
static_assert(Worker<PollsAndDrains> && Drainable<PollsAndDrains>);
static_assert(!Worker<MayThrow>);
static_assert(Worker<MayThrowInDrain> && !Drainable<MayThrowInDrain>);
static_assert(!Worker<PollsWithoutTime>);
static_assert(!Worker<OnlyDrains> && !Drainable<OnlyDrains>);

/// Records the calls of the workers in order, and switches to the next phase after a given number
/// of polls.
struct Script {
  std::string log;
  std::vector<std::pair<std::size_t, Phase>> next;
  std::atomic<Phase> phase{Phase::kRun};
  std::size_t polls = 0;
  std::vector<uint64_t> times;

  void polled(char name, uint64_t now_ns) {
    log += name;
    times.push_back(now_ns);
    ++polls;
    if (!next.empty() && polls == next.front().first) {
      phase.store(next.front().second);
      next.erase(next.begin());
    }
  }
};

struct Plain {
  Script* script;
  char name;
  void poll(uint64_t now_ns) noexcept { script->polled(name, now_ns); }
};

struct Sending {
  Script* script;
  char name;
  void poll(uint64_t now_ns) noexcept { script->polled(name, now_ns); }
  void drain(uint64_t now_ns) noexcept {
    script->log += static_cast<char>(name - 'a' + 'A');
    script->times.push_back(now_ns);
  }
};

class RunLoop : public testing::Test {
 protected:
  static const Clock& clock() {
    static const Clock clock(ClockReading::take());
    return clock;
  }

  Script script;
};

TEST_F(RunLoop, PollsEveryWorkerInTurnUntilStopped) {
  std::vector<Sending> senders{{&script, 's'}, {&script, 't'}};
  std::vector<Plain> receivers{{&script, 'x'}};
  script.next = {{6, Phase::kDrain}, {9, Phase::kStop}};
  run_loop(script.phase, clock(), senders, receivers);
  EXPECT_EQ(script.log, "stxstxSTstx");
}

TEST_F(RunLoop, DrainsOnceHoweverLongItDrains) {
  std::vector<Sending> senders{{&script, 's'}};
  script.next = {{1, Phase::kDrain}, {1000, Phase::kStop}};
  run_loop(script.phase, clock(), senders);
  EXPECT_EQ(std::ranges::count(script.log, 'S'), 1);
  EXPECT_EQ(std::ranges::count(script.log, 's'), 1000);
}

TEST_F(RunLoop, DrainsAlsoWhenStoppedAtOnce) {
  std::vector<Sending> senders{{&script, 's'}};
  std::vector<Plain> receivers{{&script, 'x'}};
  script.next = {{2, Phase::kStop}};
  run_loop(script.phase, clock(), senders, receivers);
  EXPECT_EQ(script.log, "sxS");
}

// The packets due until then are known only if the worker drains at the right time.
TEST_F(RunLoop, DrainsInTimeWhereItIsLaunchedLate) {
  std::vector<Sending> senders{{&script, 's'}};
  script.phase = Phase::kDrain;
  script.next = {{2, Phase::kStop}};
  run_loop(script.phase, clock(), senders);
  EXPECT_EQ(script.log, "sSs");
  EXPECT_TRUE(std::ranges::is_sorted(script.times));
}

TEST_F(RunLoop, BearsWorkersThatCannotDrain) {
  std::vector<Plain> receivers{{&script, 'x'}};
  script.next = {{2, Phase::kDrain}, {3, Phase::kStop}};
  run_loop(script.phase, clock(), receivers);
  EXPECT_EQ(script.log, "xxx");
}

TEST_F(RunLoop, TellsTheTime) {
  std::vector<Sending> senders{{&script, 's'}};
  script.next = {{3, Phase::kDrain}, {6, Phase::kStop}};
  const uint64_t before = clock().now_ns();
  run_loop(script.phase, clock(), senders);
  EXPECT_EQ(script.times.size(), 7U);
  EXPECT_TRUE(std::ranges::is_sorted(script.times));
  EXPECT_GE(script.times.front(), before);
  EXPECT_LE(script.times.back(), clock().now_ns());
}

}  // namespace
}  // namespace dpdkproj
