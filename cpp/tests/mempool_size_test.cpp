#include <gtest/gtest.h>

#include "dpdk/burst.hpp"
#include "dpdk/mempool.hpp"

namespace dpdkproj {
namespace {

constexpr unsigned kLargestCache = RTE_MEMPOOL_CACHE_MAX_SIZE;

TEST(MempoolCacheSize, IsThreeBurstsUpToWhatDpdkAllows) {
  for (unsigned burst = 1; burst <= kMaxBurst; ++burst) {
    const unsigned cache = mempool_cache_size(burst);
    EXPECT_LE(cache, kLargestCache);
    EXPECT_TRUE(cache >= 3 * burst || cache == kLargestCache) << burst;
  }
}

TEST(MempoolSize, CoversQueuesBurstsAndAFullCache) {
  for (const unsigned descriptors : {1U, 512U, 1024U, 65535U}) {
    for (unsigned burst = 1; burst <= kMaxBurst; ++burst) {
      // DPDK flushes a cache when it holds one and a half times its size.
      const unsigned in_cache = mempool_cache_size(burst) * 3 / 2;
      const unsigned count = mempool_size({descriptors, burst, 1500});
      EXPECT_GE(count, descriptors + 2 * burst + in_cache) << descriptors << ", " << burst;
    }
  }
}

TEST(MempoolSize, GrowsWithWhatIsAskedForAndNoFaster) {
  EXPECT_EQ(mempool_size({2048, 32, 1500}) - mempool_size({1024, 32, 1500}), 1024U);
}

TEST(MempoolDataRoom, HoldsThePacketBehindTheHeadroom) {
  for (const unsigned packet_len : {60U, 1518U, 2048U, 2049U, 9018U, 65407U}) {
    EXPECT_GE(mempool_data_room(packet_len), packet_len + RTE_PKTMBUF_HEADROOM);
  }
}

TEST(MempoolDataRoom, HoldsTheLargestPacketThatIsSentAndAQuestionBehindIt) {
  const unsigned packet_len = kLargestSent + kAroundIp;
  EXPECT_EQ(mempool_data_room(2 * packet_len), packet_len + RTE_PKTMBUF_HEADROOM + kQuestionRoom);
}

// The data room has 16 bits: with the MTU of lo (also over net_af_packet) it would wrap around to
// almost 0.
TEST(MempoolDataRoom, IsTheLargestThereIsForAnythingLarger) {
  EXPECT_EQ(mempool_data_room(65408), UINT16_MAX);
  EXPECT_EQ(mempool_data_room(UINT16_MAX + 18), UINT16_MAX);
}

}  // namespace
}  // namespace dpdkproj
