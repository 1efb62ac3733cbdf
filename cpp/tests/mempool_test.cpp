#include "dpdk/mempool.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "dpdk/error.hpp"

namespace dpdkproj {
namespace {

constexpr unsigned kOtherLcore = 1;

/// Fills the cache of another lcore as far as possible; returns how many mbufs it then holds, which
/// are missing in the shared ring.
unsigned fill_cache_of_other_lcore(rte_mempool* pool, unsigned burst) {
  rte_mempool_cache* cache = rte_mempool_default_cache(pool, kOtherLcore);
  const unsigned most = mempool_cache_size(burst) * 3 / 2;
  for (unsigned i = 0; i < most; ++i) {
    void* mbuf = nullptr;
    if (rte_mempool_generic_get(pool, &mbuf, 1, nullptr) != 0) {
      ADD_FAILURE() << "empty after " << i;
      break;
    }
    rte_mempool_generic_put(pool, &mbuf, 1, cache);
  }
  return cache->len;
}

class WorstCase : public testing::TestWithParam<unsigned> {};

// The worst case: full queues, a worker that holds two bursts, and a full cache of the lcore that
// frees the mbufs.
TEST_P(WorstCase, IsServed) {
  const unsigned burst = GetParam();
  const MempoolDemand demand{256, burst, 1518};
  const Mempool pool = make_mempool("worst", demand, 0);
  EXPECT_GE(fill_cache_of_other_lcore(pool.get(), burst), mempool_cache_size(burst));

  std::vector<rte_mbuf*> held(demand.descriptors + 2 * burst);
  unsigned taken = 0;
  while (taken < held.size()) {
    const unsigned count = std::min(burst, static_cast<unsigned>(held.size()) - taken);
    ASSERT_EQ(rte_pktmbuf_alloc_bulk(pool.get(), &held[taken], count), 0)
        << "after " << taken << " of " << held.size();
    taken += count;
  }
  rte_pktmbuf_free_bulk(held.data(), taken);
  EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 0U);
}

INSTANTIATE_TEST_SUITE_P(Bursts, WorstCase, testing::Values(1, 32, 64, 128, 512));

TEST(MakeMempool, HasTheCacheAndTheRoomThatTheFormulasSay) {
  const Mempool pool = make_mempool("formulas", {256, 32, 9018}, 0);
  EXPECT_EQ(pool->cache_size, mempool_cache_size(32));
  EXPECT_EQ(pool->size, mempool_size({256, 32, 9018}));
  EXPECT_EQ(rte_pktmbuf_data_room_size(pool.get()), mempool_data_room(9018));
}

TEST(MakeMempool, GoesAtItsEnd) {
  { const Mempool pool = make_mempool("short-lived", {256, 32, 1518}, 0); }
  EXPECT_EQ(rte_mempool_lookup("short-lived"), nullptr);
}

TEST(MakeMempool, SaysWhatToChangeWhenMemoryIsShort) {
  try {
    const Mempool pool = make_mempool("large", {3'000'000, 32, 1518}, 0);
    FAIL() << "there are 128 MiB";
  } catch (const DpdkError& error) {
    const std::string text = error.what();
    // 3,000,208 mbufs of 2,176 bytes plus 128: more than 32 bits can hold.
    EXPECT_NE(text.find("mempool large of 3000208 mbufs, about 6593 MiB"), std::string::npos)
        << text;
    for (const char* part : {"-m", "--rx-descriptors", "--rx-burst"}) {
      EXPECT_NE(text.find(part), std::string::npos) << text;
    }
  }
}

}  // namespace
}  // namespace dpdkproj
