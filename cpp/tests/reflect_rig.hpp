#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <initializer_list>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/slow_path.hpp"
#include "dpdk/clock.hpp"
#include "dpdk/port.hpp"
#include "dpdk/queue.hpp"
#include "dpdkproj_rs/ffi.h"
#include "tests/test_pool.hpp"
#include "tests/udp_frame.hpp"
#include "tests/virtual_port.hpp"

namespace dpdkproj {

/// A reflector that receives on queue 1 of a loopback port and sends on queue 0, whose ring is full
/// except for the room that a test makes.
class ReflectRig : public testing::Test {
 protected:
  explicit ReflectRig(std::initializer_list<const char*> options = {"reflect", "-q"})
      : config(parse(options)) {
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

  ~ReflectRig() override {
    empty(0);
    empty(1);
  }

  /// Makes room for `packets` packets on queue 0.
  void make_room(uint16_t packets) {
    RxQueue(info.port_id, 0, packets, false).receive(others);
    EXPECT_EQ(others.size, packets);
    others.free_from(0);
  }

  /// Delivers `packets` packets, numbered in the last byte of their source port.
  void arrive(uint8_t packets) {
    ASSERT_TRUE(others.allocate(pool.get(), packets, kFrame.size()));
    for (uint16_t i = 0; i < packets; ++i) {
      auto* bytes = rte_pktmbuf_mtod(others.mbufs[i], uint8_t*);
      std::memcpy(bytes, kFrame.data(), kFrame.size());
      bytes[35] = arrived++;
    }
    ASSERT_EQ(port.tx_queue(1).send(others), packets);
  }

  /// The numbers of the packets that were sent back and are still on queue 0.
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
          ports.push_back(bytes[37]);  // source and destination port are swapped
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

  /// Expects that packets for which `reflect`, with or without impairment, has no room wait, and
  /// that nothing is received meanwhile.
  template <typename W>
  void expect_to_lose_nothing_while_full(W& reflect) {
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
        "waited    6 of the sent ones, for room in a tx queue");
  }

  /// Expects these lines in the summary, and a balanced ledger.
  void expect_summary(const std::string& lines) {
    session->tick(0, {.stop_requested = true});
    rs::PortEnd port_end{};
    port_end.delivered = port.rx_queue(1).delivered();
    port_end.accepted = port.tx_queue(0).accepted() - before;
    rs::End end{};
    end.ports.push_back(std::move(port_end));
    const rs::Finished finished = session->finish(std::move(end));
    EXPECT_EQ(std::string(finished.problem), "");
    const std::string summary(finished.summary);
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
    modes.push_back({"reflect", "", rs::Meaning::Returns, rs::Queues::Paired, {}, {}});
    modes.push_back({"sendrecv", "", rs::Meaning::Measures, rs::Queues::Own, {}, {}});
    return rs::parse_args({}, std::move(args), std::move(modes));
  }

  static rust::Box<rs::Session> begun(const rs::Config& config) {
    rust::Box<rs::Session> session = rs::open_session(config, {});
    session->next(one_mac(), false);
    return session;
  }

  /// Delivers a packet with 64 bytes of payload from `sender`.
  void arrive_from(rs::Sender& sender) {
    constexpr uint16_t kLen = 42 + 64;
    EXPECT_TRUE(others.allocate(pool.get(), 1, kLen));
    std::array<rs::Frame, 1> frames = {
        {{rte_pktmbuf_mtod(others.mbufs[0], uint8_t*), kLen, 0, 0, rs::Verdict::Drop}}};
    sender.prepare(0, frames[0]);
    EXPECT_EQ(sender.build(0, 0, {frames.data(), 1}).packets, 1);
    sender.sent(0, 1);
    EXPECT_EQ(port.tx_queue(1).send(others), 1);
  }

  /// Delivers a question.
  void ask() {
    const rust::Box<rs::Config> sending =
        parse({"sendrecv", "--src", "10.0.0.1", "--dest", "10.0.0.2:7", "--dest-mac",
               "02:00:00:00:00:02", "--packet-size", "64", "--reflector-seq", "-q"});
    rust::Box<rs::Session> asking = rs::open_session(*sending, {});
    ASSERT_EQ(asking->next(one_mac(), false).stage, rs::Stage::Preliminary);
    const rust::Box<rs::Sender> sender = rs::new_sender(*asking, 0, {});
    // The sender only asks.
    const rs::Facts stopped{.stop_requested = true};
    asking->tick(0, stopped);
    ASSERT_EQ(asking->tick(10'000'000'000, stopped).phase, rs::Phase::Drain) << "it asks first";
    ASSERT_TRUE(others.allocate(pool.get(), 1, 0));
    rte_mbuf* mbuf = others.mbufs[0];
    rs::Frame frame{rte_pktmbuf_mtod(mbuf, uint8_t*), rte_pktmbuf_tailroom(mbuf), 0, 0,
                    rs::Verdict::Drop};
    ASSERT_TRUE(asking->send_slow(0, frame));
    mbuf->data_len = frame.len;
    mbuf->pkt_len = frame.len;
    ASSERT_EQ(port.tx_queue(1).send(others), 1);
  }

  Mempool pool = make_test_pool(8191);
  Burst others;
  const VirtualPort device{"net_ring"};
  PortInfo info = find_port("");
  Port port{info, small_port(2)};
  SlowPath slow{port};
  const Clock clock{ClockReading::take()};
  rust::Box<rs::Config> config;
  rust::Box<rs::Session> session = begun(*config);
  uint64_t before = 0;
  uint8_t arrived = 0;
};

}  // namespace dpdkproj
