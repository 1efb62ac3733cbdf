#include "dataplane/reflect.hpp"

#include <gtest/gtest.h>
#include <rte_byteorder.h>

#include <array>
#include <cstring>
#include <initializer_list>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "dpdk/port.hpp"
#include "tests/test_pool.hpp"
#include "tests/virtual_port.hpp"

namespace dpdkproj {
namespace {

/// UDP over IPv4 without payload, to a host of its own; checksums are no business of a reflector.
constexpr std::array<uint8_t, 60> kFrame = {
    2,    0, 0, 0,  0, 2, 2,    0, 0,  0,  0, 1, 8,  0,                     // Ethernet
    0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,  // IPv4
    0,    7, 0, 9,  0, 8, 0,    0,                                          // UDP
};

/// Gets packets by queue 1 of a port that hears itself, and sends them on queue 0, whose ring is
/// full but for the room that a test makes.
class ReflectTest : public testing::Test {
 protected:
  ReflectTest() {
    constexpr uint16_t kMany = kMaxBurst;
    uint16_t accepted = kMany;
    while (accepted == kMany) {
      EXPECT_TRUE(others.allocate(pool.get(), kMany, kFrame.size()));
      for (rte_mbuf* mbuf : others.mbufs) {
        std::memset(rte_pktmbuf_mtod(mbuf, void*), 0, kFrame.size());
      }
      accepted = port.tx_queue(0).send(others);
    }
    before = port.tx_queue(0).accepted();
  }

  ~ReflectTest() override {
    empty(0);
    empty(1);
  }

  /// Makes room on queue 0 for so many packets.
  void make_room(uint16_t packets) {
    RxQueue(info.port_id, 0, packets).receive(others);
    EXPECT_EQ(others.size, packets);
    others.free_from(0);
  }

  /// So many packets come in; they are known by the last byte of their source port.
  void arrive(uint8_t packets) {
    ASSERT_TRUE(others.allocate(pool.get(), packets, kFrame.size()));
    for (uint16_t i = 0; i < packets; ++i) {
      auto* bytes = rte_pktmbuf_mtod(others.mbufs[i], uint8_t*);
      std::memcpy(bytes, kFrame.data(), kFrame.size());
      bytes[35] = arrived++;
    }
    ASSERT_EQ(port.tx_queue(1).send(others), packets);
  }

  /// Those that were sent back, and are still on queue 0.
  std::vector<uint8_t> sent_back() {
    std::vector<uint8_t> ports;
    for (;;) {
      port.rx_queue(0).receive(others);
      if (others.size == 0) {
        return ports;
      }
      for (uint16_t i = 0; i < others.size; ++i) {
        const auto* bytes = rte_pktmbuf_mtod(others.mbufs[i], const uint8_t*);
        if (bytes[23] == kFrame[23]) {
          ports.push_back(bytes[37]);  // source and destination have changed places
        }
      }
      others.free_from(0);
    }
  }

  std::vector<uint8_t> first(uint8_t packets) {
    std::vector<uint8_t> ports(packets);
    std::iota(ports.begin(), ports.end(), uint8_t{0});
    return ports;
  }

  /// What the summary says about it. The ledger has to balance.
  void expect_summary(const std::string& lines) {
    run->stop(0);
    run->finish(port.rx_queue(1).delivered(), port.tx_queue(0).accepted() - before, {}, {"", ""});
    const std::string summary(run->summary());
    EXPECT_NE(summary.find("\n" + lines + "\n"), std::string::npos) << summary;
  }

  void empty(uint16_t queue) {
    do {
      others.free_from(0);
      port.rx_queue(queue).receive(others);
    } while (others.size > 0);
  }

  static rust::Box<rs::Config> parse(std::initializer_list<const char*> words) {
    rust::Vec<rust::String> args;
    for (const char* word : words) {
      args.push_back(word);
    }
    rust::Vec<rs::Mode> modes;
    modes.push_back({"reflect", "", rs::Meaning::Returns, rs::Queues::Paired});
    modes.push_back({"sendrecv", "", rs::Meaning::Measures, rs::Queues::Own});
    return rs::parse_args(std::move(args), std::move(modes));
  }

  /// What `sender` sends comes in; how long it is.
  uint16_t arrive_from(rs::Sender& sender) {
    const rs::Burst wanted = sender.poll(0, 0, 1);
    EXPECT_EQ(wanted.packets, 1);
    EXPECT_TRUE(others.allocate(pool.get(), 1, wanted.frame_len));
    std::array<rs::Frame, 1> frames = {
        {{rte_pktmbuf_mtod(others.mbufs[0], uint8_t*), wanted.frame_len, wanted.frame_len,
          rs::Verdict::Drop, 0}}};
    sender.prepare(0, frames[0]);
    sender.build(0, {frames.data(), 1});
    sender.sent(0, 1);
    EXPECT_EQ(port.tx_queue(1).send(others), 1);
    return wanted.frame_len;
  }

  Mempool pool = make_test_pool(8191);
  Burst others;
  const VirtualPort device{"net_ring"};
  PortInfo info = find_port("");
  Port port{info,
            {.rx_queues = 2,
             .tx_queues = 2,
             .rx_descriptors = 256,
             .tx_descriptors = 256,
             .rx_burst = 32,
             .tx_burst = 32,
             .checksum_offload = false,
             .held_mbufs = 0}};
  const Clock clock{ClockReading::take()};
  rust::Box<rs::Config> config = parse({"reflect", "-q"});
  rust::Box<rs::Run> run = rs::new_run(*config, rs::open_files(*config), {});
  Reflect reflect{port.rx_queue(1), port.tx_queue(0), rs::new_reflector(*run, 0, false), clock};
  uint64_t before = 0;
  uint8_t arrived = 0;
};

TEST_F(ReflectTest, LosesNothingWhileItsTxQueueIsFull) {
  make_room(4);
  arrive(10);
  reflect.poll(1);
  make_room(3);
  arrive(5);
  reflect.poll(2);
  EXPECT_EQ(port.tx_queue(0).accepted() - before, 7U);
  EXPECT_EQ(port.rx_queue(1).delivered(), 10U) << "nothing is received while packets wait";
  make_room(20);
  reflect.poll(3);
  reflect.poll(4);
  EXPECT_EQ(sent_back(), first(15));
  expect_summary(
      "received  15 = sent 15 + tx_queue_full 0 + ignored 0\n"
      "waited    6 of those that were sent, for room in a tx queue");
}

TEST_F(ReflectTest, GivesUpWhereNobodyEmptiesItsTxQueue) {
  constexpr uint64_t kEnd = 1 + Reflect::kPatienceNs;
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

TEST_F(ReflectTest, IsPatientAsLongAsSomebodyEmptiesItsTxQueue) {
  arrive(3);
  reflect.poll(0);
  for (uint64_t turn = 1; turn <= 3; ++turn) {
    make_room(1);
    reflect.poll(turn * Reflect::kPatienceNs);
  }
  expect_summary(
      "received  3 = sent 3 + tx_queue_full 0 + ignored 0\n"
      "waited    3 of those that were sent, for room in a tx queue");
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
      "waited    1 of those that were sent, for room in a tx queue");
}

TEST_F(ReflectTest, SendsBackWhatItIsToSendAlone) {
  make_room(2);
  arrive(4);
  // One in between that is ignored: the burst has one less than its frames.
  ASSERT_TRUE(others.allocate(pool.get(), 1, kFrame.size()));
  std::memset(rte_pktmbuf_mtod(others.mbufs[0], void*), 0, kFrame.size());
  ASSERT_EQ(port.tx_queue(1).send(others), 1);
  arrive(4);
  reflect.poll(1);
  make_room(10);
  reflect.poll(2);
  EXPECT_EQ(sent_back(), first(8));
  expect_summary(
      "received  9 = sent 8 + tx_queue_full 0 + ignored 1 (not_ipv4 1)\n"
      "waited    6 of those that were sent, for room in a tx queue");
}

TEST_F(ReflectTest, StampsWhatWaitedWithAllOfItsResidence) {
  constexpr uint16_t kPacketLen = 42 + 64;
  constexpr std::size_t kResidence = 42 + 18 + 8;
  const rust::Box<rs::Config> sending =
      parse({"sendrecv", "--src", "10.0.0.1", "--dest", "10.0.0.2:7", "--dest-mac",
             "02:00:00:00:00:02", "--packet-size", "64", "--stamp", "-q"});
  rust::Box<rs::Run> preliminary = rs::new_preliminary(*sending);
  // It has nothing to do but ask.
  preliminary->stop(0);
  ASSERT_FALSE(preliminary->is_over(Reflect::kPatienceNs * 100)) << "it asks first";
  // Only flows that have asked are stamped. The first question is never answered.
  arrive_from(*rs::new_sender(*preliminary, 0, {2, 0, 0, 0, 0, 1}, {false, false}));
  reflect.poll(1);
  run->tick(1);
  const rust::Box<rs::Run> asked = rs::new_run(*sending, rs::open_files(*sending), {});
  ASSERT_EQ(arrive_from(*rs::new_sender(*asked, 0, {2, 0, 0, 0, 0, 1}, {false, false})),
            kPacketLen);
  reflect.poll(1000);
  make_room(kMaxBurst);
  reflect.poll(5'001'000);
  uint64_t residence_ns = 0;
  for (others.size = 1; others.size > 0;) {
    RxQueue(info.port_id, 0, 1).receive(others);
    if (others.size > 0 && others.mbufs[0]->data_len == kPacketLen) {
      std::memcpy(&residence_ns, rte_pktmbuf_mtod(others.mbufs[0], uint8_t*) + kResidence, 8);
    }
    rte_pktmbuf_free_bulk(others.mbufs.data(), others.size);
  }
  EXPECT_EQ(rte_be_to_cpu_64(residence_ns), 5'000'000U);
}

}  // namespace
}  // namespace dpdkproj
