// The queues of a port, and the packets that may be sent on them.

#include <gtest/gtest.h>
#include <rte_thash.h>

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include "dpdk/error.hpp"
#include "dpdk/port.hpp"
#include "dpdk/rss.hpp"
#include "tests/fake_offloads.hpp"
#include "tests/virtual_port.hpp"

namespace dpdkproj {
namespace {

constexpr PortConfig kSmall{.rx_queues = 2,
                            .tx_queues = 1,
                            .rx_descriptors = 256,
                            .tx_descriptors = 256,
                            .rx_burst = 32,
                            .tx_burst = 32,
                            .offloads = {}};

class PortQueues : public testing::Test {
 protected:
  unsigned pool_size(const PortConfig& config) {
    const VirtualPort device("net_null");
    Port port(find_port(""), config);
    return port.rx_pool(0)->size;
  }

  uint64_t fast_free(PassingOn passing_on) {
    const VirtualPort device("net_null");
    PortConfig config = kSmall;
    config.passing_on = passing_on;
    fake_offloads = {RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, 0};
    { const Port port(find_port(""), config); }
    const uint64_t configured = fake_offloads.configured;
    fake_offloads = {};
    return configured;
  }
};

/// The error message of requesting a queue, or an empty string.
std::string complaint(const std::function<void()>& get) {
  try {
    get();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST_F(PortQueues, ThatAreNotThereCannotBeHad) {
  const VirtualPort device("net_null");
  Port port(find_port(""), kSmall);
  EXPECT_EQ(complaint([&] { port.rx_queue(1); }), "");
  EXPECT_EQ(complaint([&] { port.tx_queue(0); }), "");
  EXPECT_EQ(complaint([&] { port.rx_queue(2); }).rfind("the mode wants rx queue 2, and ", 0), 0U);
  EXPECT_EQ(complaint([&] { port.tx_queue(1); }),
            "the mode wants tx queue 1, and there are 1 tx queues: raise -t, or register the mode "
            "with the queues it needs");
  EXPECT_NE(complaint([&] { port.rx_pool(2); }), "");
  EXPECT_NE(complaint([&] { port.tx_pool(1); }), "");
}

// Drivers require tx queues anyway: af_xdp and mana as many as rx queues.
TEST_F(PortQueues, ForReceivingAloneThereAreNoneToSendOn) {
  const VirtualPort device("net_null");
  PortConfig config = kSmall;
  config.tx_queues = 0;
  Port port(find_port(""), config);
  EXPECT_NE(complaint([&] { port.tx_queue(0); }), "");
  EXPECT_NE(complaint([&] { port.tx_pool(0); }), "");
  rte_eth_dev_info info;
  ASSERT_EQ(rte_eth_dev_info_get(port.id(), &info), 0);
  EXPECT_EQ(info.nb_rx_queues, 2);
  EXPECT_EQ(info.nb_tx_queues, 2);
}

/// The RSS key that a port with 4 rx queues is configured with, if its keys have `size` bytes.
std::vector<uint8_t> key_of(uint8_t size, bool refused = false) {
  const VirtualPort device("net_null");
  PortConfig config = kSmall;
  config.rx_queues = 4;
  fake_offloads = {};
  fake_offloads.hash_key_size = size;
  fake_offloads.refuses_keys = refused;
  { const Port port(find_port(""), config); }
  const std::vector<uint8_t> key = fake_offloads.rss_key;
  fake_offloads = {};
  return key;
}

// By DPDK's own implementation of the hash.
TEST_F(PortQueues, GetTheDefaultSourcePortsEvenly) {
  const std::vector<uint8_t> key = key_of(40);
  ASSERT_EQ(key.size(), 40U);
  std::array<unsigned, 8> flows{};
  for (uint32_t source = 10000; source <= 10255; ++source) {
    std::array<uint32_t, 3> packet{0x0a000001, 0x0a010203, source << 16 | 7};
    ++flows[rte_softrss(packet.data(), packet.size(), key.data()) % flows.size()];
  }
  EXPECT_TRUE(std::ranges::all_of(flows, [](unsigned count) { return count == 32; }));
}

TEST_F(PortQueues, HaveAKeyOfTheLengthThatTheDriverWants) {
  EXPECT_EQ(key_of(52).size(), 52U);
  EXPECT_TRUE(key_of(16).empty()) << "too short for a flow";
  EXPECT_TRUE(key_of(200).empty()) << "longer than any that is known";
  EXPECT_TRUE(key_of(40, true).empty()) << "refused: the driver keeps its own";
}

TEST_F(PortQueues, OfAPortThatSpreadsNothingHaveNoKey) {
  const VirtualPort device("net_null");
  PortConfig config = kSmall;
  config.rx_queues = 1;
  fake_offloads = {};
  fake_offloads.hash_key_size = 40;
  const Port port(find_port(""), config);
  EXPECT_TRUE(fake_offloads.rss_key.empty());
  EXPECT_FALSE(read_rss(port.id()).has_value());
  fake_offloads = {};
}

// A driver with MBUF_FAST_FREE returns all sent packets to the pool of the first one.
TEST_F(PortQueues, FreeFastOnlyWhereAllPacketsOfOneAreOfOnePool) {
  EXPECT_EQ(fast_free(PassingOn::kNever), RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
  EXPECT_EQ(fast_free(PassingOn::kToOwnQueue), RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
  EXPECT_EQ(fast_free(PassingOn::kToAnyQueue), 0U);
}

// Tx queues keep sent packets until further ones are sent.
TEST_F(PortQueues, MayAllBeFullOfPacketsOfOnePool) {
  PortConfig config = kSmall;
  config.tx_queues = 3;
  config.passing_on = PassingOn::kNever;
  const unsigned received = pool_size(config);
  config.passing_on = PassingOn::kToOwnQueue;
  EXPECT_EQ(pool_size(config) - received, config.tx_descriptors);
  config.passing_on = PassingOn::kToAnyQueue;
  EXPECT_EQ(pool_size(config) - received, 3U * config.tx_descriptors);
}

// Mbufs in the cache of an lcore that no longer uses the pool would be missing elsewhere.
TEST_F(PortQueues, GetBackWhatRestsInTheCacheOfAnLcore) {
  const VirtualPort device("net_null");
  Port port(find_port(""), kSmall);
  rte_mempool* pool = port.rx_pool(0);
  const unsigned all = rte_mempool_avail_count(pool);
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
  ASSERT_NE(mbuf, nullptr);
  rte_pktmbuf_free(mbuf);
  const rte_mempool_cache* cache = rte_mempool_default_cache(pool, rte_lcore_id());
  EXPECT_GT(cache->len, 0U);
  port.flush_mempool_caches();
  EXPECT_EQ(cache->len, 0U);
  EXPECT_EQ(rte_mempool_avail_count(pool), all);
}

}  // namespace
}  // namespace dpdkproj
