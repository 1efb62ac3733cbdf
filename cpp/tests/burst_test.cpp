#include "dpdk/burst.hpp"

#include <gtest/gtest.h>

#include <span>

#include "tests/test_pool.hpp"

namespace dpdkproj {
namespace {

// Two workers in an array must share neither a cache line nor a pair of lines.
static_assert(alignof(Burst) % (2 * RTE_CACHE_LINE_SIZE) == 0);

TEST(Burst, AllocatesPacketsOfTheLengthAskedFor) {
  const Mempool pool = make_test_pool(64);
  Burst burst;
  ASSERT_TRUE(burst.allocate(pool.get(), 5, 98));
  EXPECT_EQ(burst.size, 5);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 5U);
  for (uint16_t i = 0; i < burst.size; ++i) {
    EXPECT_EQ(burst.mbufs[i]->data_len, 98);
    EXPECT_EQ(burst.mbufs[i]->pkt_len, 98U);
    EXPECT_EQ(burst.mbufs[i]->nb_segs, 1);
  }
  burst.free_from(0);
}

TEST(Burst, AllocatesPacketsThatNothingIsLeftInOfEarlierOnes) {
  const Mempool pool = make_test_pool(64);
  Burst burst;
  ASSERT_TRUE(burst.allocate(pool.get(), 64, 60));
  for (rte_mbuf* mbuf : std::span(burst.mbufs.data(), burst.size)) {
    ASSERT_NE(rte_pktmbuf_prepend(mbuf, 12), nullptr);
    mbuf->ol_flags = RTE_MBUF_F_TX_UDP_CKSUM;
    mbuf->packet_type = RTE_PTYPE_L2_ETHER;
    mbuf->vlan_tci = 7;
    mbuf->hash.rss = 7;
    mbuf->port = 0;
  }
  burst.free_from(0);
  ASSERT_TRUE(burst.allocate(pool.get(), 64, 98));
  for (const rte_mbuf* mbuf : std::span(burst.mbufs.data(), burst.size)) {
    EXPECT_EQ(mbuf->data_off, RTE_PKTMBUF_HEADROOM);
    EXPECT_EQ(mbuf->ol_flags, 0U);
    EXPECT_EQ(mbuf->packet_type, 0U);
    EXPECT_EQ(mbuf->vlan_tci, 0);
    EXPECT_EQ(mbuf->hash.rss, 0U);
    EXPECT_EQ(mbuf->data_len, 98);
    EXPECT_EQ(mbuf->pkt_len, 98U);
    EXPECT_EQ(mbuf->port, RTE_MBUF_PORT_INVALID);
    EXPECT_EQ(rte_mbuf_refcnt_read(mbuf), 1);
    const char* reason = nullptr;
    EXPECT_EQ(rte_mbuf_check(mbuf, 1, &reason), 0) << reason;
  }
  burst.free_from(0);
}

TEST(Burst, AllocatesAllOrNone) {
  const Mempool pool = make_test_pool(64);
  Burst first;
  ASSERT_TRUE(first.allocate(pool.get(), 40, 60));
  Burst second;
  second.size = 3;
  EXPECT_FALSE(second.allocate(pool.get(), 25, 60));
  EXPECT_EQ(second.size, 0);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 40U);
  EXPECT_TRUE(second.allocate(pool.get(), 24, 60));
  first.free_from(0);
  second.free_from(0);
}

TEST(Burst, FreesFromAPlaceOn) {
  const Mempool pool = make_test_pool(64);
  Burst burst;
  ASSERT_TRUE(burst.allocate(pool.get(), 8, 60));
  burst.free_from(8);
  EXPECT_EQ(burst.size, 8);
  const auto before = burst.mbufs;
  burst.free_from(5);
  EXPECT_EQ(burst.size, 5);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 5U);
  EXPECT_TRUE(std::equal(before.begin(), before.begin() + 5, burst.mbufs.begin()));
  burst.free_from(0);
  EXPECT_EQ(burst.size, 0);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 0U);
  burst.free_from(0);
  EXPECT_EQ(rte_mempool_avail_count(pool.get()), 64U);
}

TEST(Burst, FreesWhatIsUnwanted) {
  const Mempool pool = make_test_pool(64);
  Burst burst;
  ASSERT_TRUE(burst.allocate(pool.get(), 5, 60));
  const auto before = burst.mbufs;
  int seen = 0;
  const auto is_second_or_last = [&](const rte_mbuf& mbuf) {
    EXPECT_EQ(&mbuf, before[static_cast<size_t>(seen)]) << "they are looked at in their order";
    ++seen;
    return seen == 2 || seen == 5;
  };
  EXPECT_EQ(burst.free_if(is_second_or_last), 2);
  ASSERT_EQ(burst.size, 3);
  EXPECT_EQ(burst.mbufs[0], before[0]);
  EXPECT_EQ(burst.mbufs[1], before[2]);
  EXPECT_EQ(burst.mbufs[2], before[3]);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 3U);
  EXPECT_EQ(burst.free_if([](const rte_mbuf& /*mbuf*/) { return true; }), 3);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 0U);
}

}  // namespace
}  // namespace dpdkproj
