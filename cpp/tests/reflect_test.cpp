#include "dataplane/reflect.hpp"

#include <gtest/gtest.h>
#include <rte_byteorder.h>

#include "tests/reflect_rig.hpp"

namespace dpdkproj {
namespace {

class ReflectTest : public ReflectRig {
 protected:
  Reflect reflect{port.rx_queue(1),
                  port.tx_queue(0),
                  rs::new_reflector(*session, 0, false),
                  clock,
                  slow.inlet(1),
                  slow.outlet(port.tx_pool(0), 0)};
};

TEST_F(ReflectTest, LosesNothingWhileItsTxQueueIsFull) {
  expect_to_lose_nothing_while_full(reflect);
}

TEST_F(ReflectTest, GivesUpWhereNobodyEmptiesItsTxQueue) {
  constexpr uint64_t kEnd = 1 + Reflect::kTimeoutNs;
  make_room(4);
  arrive(10);
  const unsigned in_use = rte_mempool_in_use_count(pool.get());
  reflect.poll(1);
  reflect.poll(kEnd - 1);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), in_use);
  reflect.poll(kEnd);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), in_use - 6);
  make_room(3);
  arrive(2);
  reflect.poll(kEnd + 1);
  expect_summary("received  12 = sent 6 + tx_queue_full 6 + ignored 0");
}

TEST_F(ReflectTest, WaitsAsLongAsSomebodyEmptiesItsTxQueue) {
  arrive(3);
  reflect.poll(0);
  for (uint64_t turn = 1; turn <= 3; ++turn) {
    make_room(1);
    reflect.poll(turn * Reflect::kTimeoutNs);
  }
  expect_summary(
      "received  3 = sent 3 + tx_queue_full 0 + ignored 0\n"
      "waited    3 of the sent ones, for room in a tx queue");
}

TEST_F(ReflectTest, LetsNothingWaitWhenItEnds) {
  make_room(4);
  arrive(10);
  reflect.poll(0);
  make_room(1);
  reflect.drain(1);
  arrive(2);
  reflect.poll(2);
  expect_summary(
      "received  12 = sent 5 + tx_queue_full 7 + ignored 0\n"
      "waited    1 of the sent ones, for room in a tx queue");
}

TEST_F(ReflectTest, SendsBackWhatItIsToSendAlone) {
  make_room(2);
  arrive(4);
  // One packet in between is ignored: the burst is one shorter than its frames.
  ASSERT_TRUE(others.allocate(pool.get(), 1, kFrame.size()));
  std::memset(rte_pktmbuf_mtod(others.mbufs[0], void*), 0, kFrame.size());
  ASSERT_EQ(port.tx_queue(1).send(others), 1);
  arrive(4);
  reflect.poll(1);
  make_room(10);
  reflect.poll(2);
  EXPECT_EQ(sent_back(), first(8));
  expect_summary(
      "received  9 = sent 8 + tx_queue_full 0 + ignored 1 (other_ethertype 1)\n"
      "waited    6 of the sent ones, for room in a tx queue");
}

TEST_F(ReflectTest, StampsWhatWaitedWithAllOfItsResidence) {
  constexpr uint16_t kPacketLen = 42 + 64;
  constexpr std::size_t kResidence = 42 + 18 + 8;
  const rust::Box<rs::Config> sending =
      parse({"sendrecv", "--src", "10.0.0.1", "--dest", "10.0.0.2:7", "--dest-mac",
             "02:00:00:00:00:02", "--packet-size", "64", "--reflector-seq", "-q"});
  // Only packets of flows that have asked are stamped.
  ask();
  reflect.poll(1);
  slow.serve(*session, 0, 1);
  rust::Box<rs::Session> asked = rs::open_session(*sending, {});
  asked->next(one_mac(), true);
  arrive_from(*rs::new_sender(*asked, 0, {}));
  reflect.poll(1000);
  make_room(kMaxBurst);
  reflect.poll(5'001'000);
  uint64_t residence_ns = 0;
  for (others.size = 1; others.size > 0;) {
    RxQueue(info.port_id, 0, 1, false).receive(others);
    if (others.size > 0 && others.mbufs[0]->data_len == kPacketLen) {
      std::memcpy(&residence_ns, rte_pktmbuf_mtod(others.mbufs[0], uint8_t*) + kResidence, 8);
    }
    rte_pktmbuf_free_bulk(others.mbufs.data(), others.size);
  }
  EXPECT_EQ(rte_be_to_cpu_64(residence_ns), 5'000'000U);
}

class ReflectOnTwoQueuesTest : public ReflectRig {
 protected:
  ReflectOnTwoQueuesTest() : ReflectRig({"reflect", "-r", "2", "-q"}) {}

  Reflect reflect{port.rx_queue(1),
                  port.tx_queue(0),
                  rs::new_reflector(*session, 0, false),
                  clock,
                  slow.inlet(1),
                  slow.outlet(port.tx_pool(0), 0)};
  rust::Box<rs::Reflector> other = rs::new_reflector(*session, 1, false);
};

TEST_F(ReflectOnTwoQueuesTest, AnswersWhenAllWorkersHaveCountedWhatTheyDid) {
  constexpr uint64_t kMs = 1'000'000;
  make_room(10);
  const unsigned in_use = rte_mempool_in_use_count(pool.get());
  ask();
  reflect.poll(kMs);
  slow.serve(*session, 0, kMs);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), in_use) << "it is freed where it came from";
  reflect.poll(3 * kMs);
  slow.serve(*session, 0, 3 * kMs);
  reflect.poll(4 * kMs);
  EXPECT_EQ(port.tx_queue(0).accepted(), before) << "the other worker has not polled";
  other->reflect(4 * kMs, {}, 0);
  slow.serve(*session, 0, 5 * kMs);
  reflect.poll(6 * kMs);
  EXPECT_EQ(port.tx_queue(0).accepted(), before + 1);
  EXPECT_EQ(slow.sent(), 1U);
}

TEST_F(ReflectOnTwoQueuesTest, LeavesNoMoreQuestionsWaitingThanThereIsRoomFor) {
  const unsigned in_use = rte_mempool_in_use_count(pool.get());
  for (unsigned i = 0; i < SlowPath::kWaiting + 3; ++i) {
    ask();
    reflect.poll(2);
  }
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), in_use + SlowPath::kWaiting);
  slow.serve(*session, 0, 3);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), in_use);
}

}  // namespace
}  // namespace dpdkproj
