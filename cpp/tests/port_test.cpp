#include "dpdk/port.hpp"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "dpdk/error.hpp"
#include "tests/fake_offloads.hpp"
#include "tests/test_pool.hpp"
#include "tests/virtual_port.hpp"

namespace {

/// The number of descriptors that a port has instead of the requested one; 0: the requested one.
uint16_t descriptors = 0;

}  // namespace

extern "C" {
int real_adjust(uint16_t port, uint16_t* rx,
                uint16_t* tx) asm("__real_rte_eth_dev_adjust_nb_rx_tx_desc");
int fake_adjust(uint16_t port, uint16_t* rx,
                uint16_t* tx) asm("__wrap_rte_eth_dev_adjust_nb_rx_tx_desc");

int fake_adjust(uint16_t port, uint16_t* rx, uint16_t* tx) {
  const int result = real_adjust(port, rx, tx);
  if (descriptors != 0) {
    *rx = *tx = descriptors;
  }
  return result;
}
}

namespace dpdkproj {
namespace {

constexpr PortConfig kSmall{.rx_queues = 1,
                            .tx_queues = 1,
                            .rx_descriptors = 256,
                            .tx_descriptors = 256,
                            .rx_burst = 32,
                            .tx_burst = 32,
                            .offloads = {.ipv4 = true, .udp = true},
                            .held_mbufs = 0};

std::string to_text(const std::array<uint8_t, 6>& mac) {
  std::array<char, 18> text;
  std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
                mac[3], mac[4], mac[5]);
  return text.data();
}

std::string mac_of_port(const PortInfo& info) {
  rte_ether_addr address;
  EXPECT_EQ(rte_eth_macaddr_get(info.port_id, &address), 0);
  return to_text(std::to_array(address.addr_bytes));
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

/// A net_null port, which delivers as many packets as requested and accepts all.
class NullPort : public testing::Test {
 protected:
  VirtualPort device{"net_null"};
  PortInfo info = find_port("");
  Burst burst;
};

TEST_F(NullPort, CountsWhatTheDriverDelivers) {
  Port port(info, kSmall);
  for (int i = 0; i < 10; ++i) {
    port.rx_queue(0).receive(burst);
    ASSERT_EQ(burst.size, kSmall.rx_burst);
    burst.free_from(0);
  }
  EXPECT_EQ(port.rx_queue(0).delivered(), 10U * kSmall.rx_burst);
  EXPECT_EQ(port.delivered(), 10U * kSmall.rx_burst);
  EXPECT_EQ(port.accepted(), 0U);
}

TEST_F(NullPort, CountsWhatTheDriverAccepts) {
  Port port(info, kSmall);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(burst.allocate(port.tx_pool(0), 7, 60));
    EXPECT_EQ(port.tx_queue(0).send(burst), 7);
  }
  EXPECT_EQ(port.accepted(), 70U);
  EXPECT_EQ(port.delivered(), 0U);
  EXPECT_EQ(rte_mempool_in_use_count(port.tx_pool(0)), 0U);
}

TEST_F(NullPort, SumsUpItsQueues) {
  PortConfig config = kSmall;
  config.rx_queues = 2;
  config.tx_queues = 2;
  Port port(info, config);
  EXPECT_NE(port.tx_pool(0), port.tx_pool(1)) << "no two lcores share a pool";
  for (const uint16_t queue : std::array<uint16_t, 3>{0, 1, 1}) {
    port.rx_queue(queue).receive(burst);
    burst.free_from(0);
    ASSERT_TRUE(burst.allocate(port.tx_pool(queue), 5, 60));
    port.tx_queue(queue).send(burst);
  }
  EXPECT_EQ(port.rx_queue(1).delivered(), 2U * kSmall.rx_burst);
  EXPECT_EQ(port.tx_queue(1).accepted(), 10U);
  EXPECT_EQ(port.delivered(), 3U * kSmall.rx_burst);
  EXPECT_EQ(port.accepted(), 15U);
}

TEST_F(NullPort, ReceivesUpToABurst) {
  PortConfig config = kSmall;
  config.rx_burst = 8;
  Port port(info, config);
  port.rx_queue(0).receive(burst);
  EXPECT_EQ(burst.size, 8);
  burst.free_from(0);
}

/// A driver with vector instructions would return no packets for a burst of 1 to 7.
TEST_F(NullPort, ReceivesInMultiplesOfEight) {
  for (const auto& [asked, received] : std::array<std::pair<uint16_t, uint16_t>, 5>{
           {{1, 8}, {7, 8}, {9, 16}, {32, 32}, {505, 512}}}) {
    VirtualPort other("net_null");
    const PortInfo other_info = find_port(other.name());
    PortConfig config = kSmall;
    config.rx_burst = asked;
    testing::internal::CaptureStderr();
    Port port(other_info, config);
    const std::string said = testing::internal::GetCapturedStderr();
    if (asked == received) {
      EXPECT_EQ(said, "");
    } else {
      expect_contains(said, "--rx-burst " + std::to_string(asked) + ": packets are received in");
      expect_contains(said, "of up to " + std::to_string(received));
    }
    port.rx_queue(0).receive(burst);
    EXPECT_EQ(burst.size, received);
    burst.free_from(0);
  }
}

/// The size of each burst that is offered to the driver.
uint16_t note(uint16_t /*port*/, uint16_t /*queue*/, rte_mbuf** /*mbufs*/, uint16_t count,
              void* sizes) {
  static_cast<std::vector<uint16_t>*>(sizes)->push_back(count);
  return count;
}

TEST_F(NullPort, SendsInBurstsOfItsOwnSize) {
  PortConfig config = kSmall;
  config.rx_burst = 64;
  config.tx_burst = 10;
  Port port(info, config);
  std::vector<uint16_t> sizes;
  const auto* callback = rte_eth_add_tx_callback(port.id(), 0, note, &sizes);
  ASSERT_TRUE(burst.allocate(port.tx_pool(0), 64, 60));
  EXPECT_EQ(port.tx_queue(0).offer(burst, 3), 61);
  EXPECT_EQ(sizes, (std::vector<uint16_t>{10, 10, 10, 10, 10, 10, 1}));
  EXPECT_EQ(port.accepted(), 61U);
  EXPECT_EQ(rte_eth_remove_tx_callback(port.id(), 0, callback), 0);
  burst.size = 3;
  burst.free_from(0);
}

uint16_t flag(uint16_t /*port*/, uint16_t /*queue*/, rte_mbuf** mbufs, uint16_t count,
              uint16_t /*most*/, void* /*unused*/) {
  constexpr std::array<uint64_t, 6> kFlags = {
      RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_GOOD,
      RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD,
      RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD,
      RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD,
      // Not verified, and unknown.
      RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE,
      RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN | RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN};
  for (std::size_t i = 0; i < kFlags.size(); ++i) {
    mbufs[i]->ol_flags |= kFlags[i];
  }
  return count;
}

TEST_F(NullPort, CountsPacketsInWhichThePortFoundAWrongChecksum) {
  const Port port(info, kSmall);
  const auto* callback = rte_eth_add_rx_callback(port.id(), 0, flag, nullptr);
  for (const bool checks : {true, false}) {
    RxQueue queue(port.id(), 0, 32, checks);
    for (int turn = 0; turn < 2; ++turn) {
      queue.receive(burst);
      ASSERT_EQ(burst.size, 32);
      burst.free_from(0);
    }
    EXPECT_EQ(queue.flagged(), checks ? 6U : 0U);
  }
  EXPECT_EQ(rte_eth_remove_rx_callback(port.id(), 0, callback), 0);
}

TEST_F(NullPort, TakesItsPoolsWithIt) {
  const std::string prefix = "port" + std::to_string(info.port_id);
  {
    const Port port(info, kSmall);
    EXPECT_NE(rte_mempool_lookup((prefix + "_rx0").c_str()), nullptr);
    EXPECT_NE(rte_mempool_lookup((prefix + "_tx0").c_str()), nullptr);
  }
  EXPECT_EQ(rte_mempool_lookup((prefix + "_rx0").c_str()), nullptr);
  EXPECT_EQ(rte_mempool_lookup((prefix + "_tx0").c_str()), nullptr);
  EXPECT_EQ(rte_eth_dev_count_avail(), 0);
}

TEST_F(NullPort, KnowsItsAddress) {
  const Port port(info, kSmall);
  EXPECT_EQ(to_text(port.mac()), mac_of_port(info));
}

TEST_F(NullPort, HasALink) {
  const Port port(info, kSmall);
  EXPECT_TRUE(port.wait_for_link(std::chrono::milliseconds(0)));
}

TEST_F(NullPort, TellsHowFastItsLinkIs) {
  const Port port(info, kSmall);
  EXPECT_EQ(port.link_mbps(), 10'000U);
}

TEST(LinkSpeed, IsNothingWhereTheDriverDoesNotSay) {
  rte_eth_link link{};
  EXPECT_EQ(speed_mbps(link), 0U);
  link.link_speed = RTE_ETH_SPEED_NUM_UNKNOWN;
  EXPECT_EQ(speed_mbps(link), 0U);
  link.link_speed = RTE_ETH_SPEED_NUM_100G;
  EXPECT_EQ(speed_mbps(link), 100'000U);
}

TEST_F(NullPort, HasNoOffloadsThatItWouldHaveToKeepAPromiseOf) {
  const Port port(info, kSmall);
  EXPECT_FALSE(port.offloads().ipv4);
  EXPECT_FALSE(port.offloads().udp);
  EXPECT_FALSE(port.offloads().vlan);
  EXPECT_FALSE(port.may_deliver_partial_checksums());
}

/// A port that can compute only one checksum computes that one: virtio and vmxnet3 support UDP
/// only.
TEST_F(NullPort, LeavesEachChecksumToThePortThatCanWriteIt) {
  constexpr uint64_t kIpv4 = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
  constexpr uint64_t kUdp = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
  for (const uint64_t offered : {uint64_t{0}, kIpv4, kUdp, kIpv4 | kUdp}) {
    for (const bool wanted : {true, false}) {
      const VirtualPort other("net_null");
      PortConfig config = kSmall;
      config.offloads = {.ipv4 = wanted, .udp = wanted};
      fake_offloads = {.offered = offered, .configured = 0};
      const Port port(find_port(other.name()), config);
      EXPECT_EQ(port.offloads().ipv4, wanted && (offered & kIpv4) != 0);
      EXPECT_EQ(port.offloads().udp, wanted && (offered & kUdp) != 0);
      EXPECT_EQ(fake_offloads.configured, wanted ? offered : 0);
      fake_offloads = {};
    }
  }
}

TEST_F(NullPort, RefusesWhatItCannotDoOnlyIfAsked) {
  PortConfig config = kSmall;
  config.offloads = {.ipv4 = true, .udp = true, .vlan = true};
  config.offloads_required = true;
  struct Case {
    uint64_t offered;
    const char* missing;
  };
  for (const auto& [offered, missing] :
       {Case{RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM, "write the VLAN tag;"},
        Case{RTE_ETH_TX_OFFLOAD_UDP_CKSUM, "write the IPv4 checksum and the VLAN tag;"},
        Case{0, "write the IPv4 checksum and the UDP checksum and the VLAN tag;"}}) {
    const VirtualPort other("net_null");
    fake_offloads = {.offered = offered, .configured = 0};
    try {
      const Port port(find_port(other.name()), config);
      ADD_FAILURE() << missing;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(missing), std::string::npos) << error.what();
    }
    fake_offloads = {};
  }
  const VirtualPort other("net_null");
  fake_offloads = {.offered = RTE_ETH_TX_OFFLOAD_VLAN_INSERT, .configured = 0};
  config.offloads = {.ipv4 = false, .udp = false, .vlan = true};
  const Port port(find_port(other.name()), config);
  EXPECT_TRUE(port.offloads().vlan);
  fake_offloads = {};
}

TEST_F(NullPort, NamesWhatNeverReachedUs) {
  const Port port(info, kSmall);
  std::string names;
  for (const auto& [name, value] : port.counters()) {
    names += name + ' ';
    EXPECT_EQ(value, 0U) << name;
  }
  EXPECT_EQ(names, "imissed ierrors oerrors rx_nombuf ");
}

TEST_F(NullPort, NamesTheCallThatFailed) {
  PortConfig config = kSmall;
  config.rx_queues = static_cast<uint16_t>(info.max_rx_queues + 1);
  try {
    const Port port(info, config);
    FAIL() << "there are only " << info.max_rx_queues << " queues";
  } catch (const DpdkError& error) {
    expect_contains(error.what(), "rte_eth_dev_configure: ");
  }
}

/// A net_ring port: packets sent on a queue arrive on the rx queue with the same number.
class RingPort : public testing::Test {
 protected:
  /// Receives and frees all packets.
  void empty(Port& port) {
    do {
      port.rx_queue(0).receive(burst);
    } while (free_all() > 0);
  }

  uint16_t free_all() {
    const uint16_t size = burst.size;
    burst.free_from(0);
    return size;
  }

  VirtualPort device{"net_ring"};
  PortInfo info = find_port("");
  Burst burst;
};

TEST_F(RingPort, GivesBackWhatWasSent) {
  Port port(info, kSmall);
  port.rx_queue(0).receive(burst);
  EXPECT_EQ(burst.size, 0);
  ASSERT_TRUE(burst.allocate(port.tx_pool(0), 9, 60));
  const auto sent = burst.mbufs;
  EXPECT_EQ(port.tx_queue(0).send(burst), 9);
  EXPECT_EQ(rte_mempool_in_use_count(port.tx_pool(0)), 9U);
  port.rx_queue(0).receive(burst);
  ASSERT_EQ(burst.size, 9);
  EXPECT_TRUE(std::equal(sent.begin(), sent.begin() + 9, burst.mbufs.begin()));
  burst.free_from(0);
  EXPECT_EQ(rte_mempool_in_use_count(port.tx_pool(0)), 0U);
  EXPECT_EQ(port.delivered(), 9U);
  EXPECT_EQ(port.accepted(), 9U);
}

TEST_F(RingPort, KeepsItsQueuesApart) {
  PortConfig config = kSmall;
  config.rx_queues = 2;
  config.tx_queues = 2;
  Port port(info, config);
  ASSERT_TRUE(burst.allocate(port.tx_pool(1), 3, 60));
  port.tx_queue(1).send(burst);
  port.rx_queue(0).receive(burst);
  EXPECT_EQ(free_all(), 0);
  port.rx_queue(1).receive(burst);
  EXPECT_EQ(free_all(), 3);
}

TEST_F(RingPort, FreesWhatTheDriverRefuses) {
  Port port(info, kSmall);
  constexpr uint16_t kBurst = 500;
  const Mempool pool = make_test_pool(4095);
  uint16_t accepted = kBurst;
  uint64_t sum = 0;
  while (accepted == kBurst) {
    ASSERT_TRUE(burst.allocate(pool.get(), kBurst, 60)) << "its queue has no end";
    accepted = port.tx_queue(0).send(burst);
    sum += accepted;
    EXPECT_EQ(burst.size, accepted);
  }
  EXPECT_EQ(port.accepted(), sum);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), sum) << "in the ring, and nowhere else";
  empty(port);
  EXPECT_EQ(port.delivered(), sum);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 0U);
}

TEST_F(RingPort, WaitsForItsLinkOnlySoLong) {
  const Port port(info, kSmall);
  EXPECT_TRUE(port.wait_for_link(std::chrono::milliseconds(0)));
  ASSERT_EQ(rte_eth_dev_set_link_down(info.port_id), 0);
  EXPECT_FALSE(port.wait_for_link(std::chrono::milliseconds(20)));
  // If it waited, the test would time out.
  StopRequest stop;
  std::thread signal([&stop] { stop.make(); });
  EXPECT_FALSE(port.wait_for_link(std::chrono::hours(1), stop));
  signal.join();
}

TEST_F(RingPort, SaysThatItHasOtherDescriptorsThanAskedFor) {
  descriptors = 128;
  testing::internal::CaptureStderr();
  { const Port port(info, kSmall); }
  descriptors = 0;
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "dpdkproj: --rx-descriptors 256: the port has 128 for a queue instead\n"
            "dpdkproj: --tx-descriptors 256: the port has 128 for a queue instead\n");
}

TEST_F(RingPort, SaysThatItCannotSpreadPackets) {
  PortConfig config = kSmall;
  testing::internal::CaptureStderr();
  { const Port port(info, config); }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");

  const VirtualPort other("net_ring");
  config.rx_queues = 2;
  testing::internal::CaptureStderr();
  { const Port port(find_port(""), config); }
  expect_contains(testing::internal::GetCapturedStderr(),
                  "(net_ring) cannot spread packets over rx queues by UDP port: some of the 2");
}

}  // namespace
}  // namespace dpdkproj
