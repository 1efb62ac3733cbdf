#include "dataplane/impair.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

#include "tests/reflect_rig.hpp"

namespace dpdkproj {
namespace {

/// With an impairment that affects either no packet or all packets.
class ImpairTest : public ReflectRig {
 protected:
  explicit ImpairTest(const char* impair = "drop=0")
      : ReflectRig({"reflect", "--impair", impair, "-q"}) {}

  rs::Options options = config->options();
  ReflectImpaired reflect{
      port.rx_queue(1), port.tx_queue(0), rs::new_reflector(*session, 0, false), clock, pool.get(),
      options,          slow.inlet(1),    slow.outlet(port.tx_pool(0), 0)};
};

TEST_F(ImpairTest, LosesNothingWhileItsTxQueueIsFull) {
  expect_to_lose_nothing_while_full(reflect);
}

TEST_F(ImpairTest, GivesUpWhereNobodyEmptiesItsTxQueue) {
  constexpr uint64_t kEnd = 1 + Reflect::kTimeoutNs;
  make_room(4);
  arrive(10);
  const unsigned in_use = rte_mempool_in_use_count(pool.get());
  reflect.poll(1);
  reflect.poll(kEnd - 1);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), in_use);
  reflect.poll(kEnd);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), in_use - 6);
  expect_summary("received  10 = sent 4 + tx_queue_full 6 + ignored 0");
}

class DuplicateTest : public ImpairTest {
 protected:
  DuplicateTest() : ImpairTest("duplicate=1") {}
};

TEST_F(DuplicateTest, CopiesWaitToo) {
  make_room(3);
  arrive(2);
  reflect.poll(1);
  make_room(1);
  reflect.poll(2);
  expect_summary(
      "received  2 + duplicated 2 = sent 4 + tx_queue_full 0 + ignored 0\n"
      "waited    1 of the sent ones, for room in a tx queue");
}

TEST_F(DuplicateTest, ACopyThatFindsNoRoomWasNeverMade) {
  make_room(3);
  arrive(2);
  reflect.poll(1);
  reflect.poll(1 + Reflect::kTimeoutNs);
  expect_summary("received  2 + duplicated 1 = sent 3 + tx_queue_full 0 + ignored 0");
}

class DelayTest : public ImpairTest {
 protected:
  DelayTest() : ImpairTest("delay=1s") {}
};

/// Many bursts are held, and each one could wait.
TEST_F(DelayTest, DoesNotWaitForEachBurstWhenItEnds) {
  constexpr uint8_t kBursts = 5;
  for (uint8_t burst = 0; burst < kBursts; ++burst) {
    arrive(32);
    reflect.poll(1);
  }
  make_room(4);
  const uint64_t start_ns = clock.now_ns();
  reflect.drain(start_ns);
  EXPECT_LT(clock.now_ns() - start_ns, 2 * Reflect::kTimeoutNs + 1'000'000'000);
  expect_summary("received  160 = sent 4 + tx_queue_full 156 + ignored 0");
}

}  // namespace
}  // namespace dpdkproj
