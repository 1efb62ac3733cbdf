#include "dpdk/burst.hpp"

#include <gtest/gtest.h>

#include "tests/test_pool.hpp"

namespace dpdkproj {
namespace {

// Two workers in one array must not share a cache line, nor a pair of them.
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

}  // namespace
}  // namespace dpdkproj
