#include "dataplane/dataplane.hpp"

#include <gtest/gtest.h>
#include <rte_lcore.h>

#include <algorithm>
#include <cerrno>

#include "dpdk/error.hpp"
#include "tests/virtual_port.hpp"

namespace {

/// Makes launching an lcore fail.
bool no_launch = false;

}  // namespace

extern "C" {
int real_launch(lcore_function_t* work, void* argument,
                unsigned lcore) asm("__real_rte_eal_remote_launch");
int fake_launch(lcore_function_t* work, void* argument,
                unsigned lcore) asm("__wrap_rte_eal_remote_launch");

int fake_launch(lcore_function_t* work, void* argument, unsigned lcore) {
  return no_launch ? -EBUSY : real_launch(work, argument, lcore);
}
}

namespace dpdkproj {
namespace {

/// The log of one worker.
struct Record {
  unsigned lcore = LCORE_ID_ANY;
  int polls = 0;
  int drains = 0;
  int polls_after_drain = 0;
};

struct alignas(2 * RTE_CACHE_LINE_SIZE) Plain {
  Record* record;
  void poll(uint64_t /*now_ns*/) noexcept {
    record->lcore = rte_lcore_id();
    ++record->polls;
  }
};

struct alignas(2 * RTE_CACHE_LINE_SIZE) Sending {
  Record* record;
  void poll(uint64_t /*now_ns*/) noexcept {
    record->lcore = rte_lcore_id();
    ++(record->drains == 0 ? record->polls : record->polls_after_drain);
  }
  void drain(uint64_t /*now_ns*/) noexcept { ++record->drains; }
};

rust::Box<rs::Config> parse(std::initializer_list<const char*> words) {
  rust::Vec<rust::String> args;
  for (const char* word : words) {
    args.push_back(word);
  }
  rust::Vec<rs::Mode> modes;
  modes.push_back({"test", "For this test", rs::Meaning::Counts, rs::Queues::Mixed, {}, {}});
  return rs::parse_args({}, std::move(args), std::move(modes));
}

class DataplaneTest : public testing::Test {
 protected:
  void run(std::vector<Record>& sending, std::vector<Record>& plain, bool only_asks = false) {
    const rust::Box<rs::Config> config = parse({"test", "-q", "--duration", "0.05"});
    rust::Box<rs::Session> session = rs::open_session(*config, {});
    rs::Next next = session->next(one_mac(), false);
    if (only_asks) {
      next.stage = rs::Stage::Preliminary;
    }
    const rs::Options options = config->options();
    ServedPorts ports;
    ports.emplace_back(find_port(""), small_port(1));
    const Clock clock(ClockReading::take());
    Dataplane dataplane(ports, *session, next, options, clock, signals, affinity);
    std::vector<Sending> senders;
    for (Record& record : sending) {
      senders.push_back({&record});
    }
    std::vector<Plain> others;
    for (Record& record : plain) {
      others.push_back({&record});
    }
    dataplane.run_workers(std::move(senders), std::move(others));
    elapsed_ns = clock.now_ns();
  }

  VirtualPort device{"net_null"};
  StopSignals signals;
  Affinity affinity;
  uint64_t elapsed_ns = 0;
};

TEST_F(DataplaneTest, RunsAllWorkersForTheDurationAndDrainsThem) {
  std::vector<Record> sending(3);
  std::vector<Record> plain(2);
  run(sending, plain);
  EXPECT_GE(elapsed_ns, 50'000'000U);
  for (const Record& record : sending) {
    EXPECT_GT(record.polls, 0);
    EXPECT_EQ(record.drains, 1);
  }
  for (const Record& record : plain) {
    EXPECT_GT(record.polls, 0);
  }
}

TEST_F(DataplaneTest, DealsWorkersOutInTheOrderGiven) {
  std::vector<Record> sending(3);
  std::vector<Record> plain(2);
  run(sending, plain);
  std::vector<unsigned> lcores;
  const auto lcore = [](const Record& record) { return record.lcore; };
  std::ranges::transform(sending, std::back_inserter(lcores), lcore);
  std::ranges::transform(plain, std::back_inserter(lcores), lcore);
  EXPECT_EQ(lcores, (std::vector<unsigned>{0, 1, 0, 1, 0}));
}

TEST_F(DataplaneTest, RunsAllWorkersOnTheMainLcoreWhereItIsToldTo) {
  std::vector<Record> sending(3);
  std::vector<Record> plain(2);
  run(sending, plain, true);
  for (const Record& record : sending) {
    EXPECT_GT(record.polls, 0);
    EXPECT_EQ(record.lcore, 0U);
    EXPECT_EQ(record.drains, 1);
  }
  for (const Record& record : plain) {
    EXPECT_GT(record.polls, 0);
    EXPECT_EQ(record.lcore, 0U);
  }
}

TEST_F(DataplaneTest, StartsNoLcoreThatHasNothingToDo) {
  std::vector<Record> sending(1);
  std::vector<Record> plain;
  std::atomic<bool> busy{false};
  std::atomic<bool> over{false};
  std::thread watcher([&] {
    while (!over) {
      busy = busy || rte_eal_get_lcore_state(1) == RUNNING;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  run(sending, plain);
  over = true;
  watcher.join();
  EXPECT_FALSE(busy);
  EXPECT_EQ(sending[0].lcore, 0U);
}

TEST_F(DataplaneTest, EndsWhereAnLcoreCannotBeLaunched) {
  std::vector<Record> sending(2);
  std::vector<Record> plain;
  no_launch = true;
  EXPECT_THROW(run(sending, plain), DpdkError);
  no_launch = false;
  EXPECT_EQ(sending[0].polls, 0) << "the main lcore has not begun either";
  // Everything that was started has ended: another run on a new port works.
  const VirtualPort other("net_null");
  run(sending, plain);
  EXPECT_EQ(sending[0].drains, 1);
}

}  // namespace
}  // namespace dpdkproj
