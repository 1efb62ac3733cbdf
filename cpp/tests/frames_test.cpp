#include "dataplane/frames.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "tests/test_pool.hpp"
#include "tests/udp_frame.hpp"

namespace dpdkproj {
namespace {

class FramesTest : public testing::Test {
 protected:
  /// A packet whose segments are filled with 1, 2, 3, ...
  rte_mbuf* packet(const std::vector<uint16_t>& segment_lens) {
    rte_mbuf* head = nullptr;
    uint8_t content = 0;
    for (const uint16_t len : segment_lens) {
      rte_mbuf* segment = rte_pktmbuf_alloc(pool.get());
      char* data = segment == nullptr ? nullptr : rte_pktmbuf_append(segment, len);
      if (data == nullptr) {
        ADD_FAILURE() << "no mbuf with " << len << " bytes";
        return head;
      }
      std::memset(data, ++content, len);
      if (head == nullptr) {
        head = segment;
      } else {
        EXPECT_EQ(rte_pktmbuf_chain(head, segment), 0);
      }
    }
    return head;
  }

  void put(rte_mbuf* mbuf) { burst.mbufs[burst.size++] = mbuf; }

  unsigned in_use() { return rte_mempool_in_use_count(pool.get()); }

  Mempool pool = make_test_pool(64);
  Burst burst;
  Frames frames;
};

TEST_F(FramesTest, ShowEachPacketInPlace) {
  put(packet({60}));
  put(packet({1514}));
  const rust::Slice<rs::Frame> shown = frames.of(burst).writable();
  ASSERT_EQ(shown.size(), 2U);
  for (uint16_t i = 0; i < burst.size; ++i) {
    EXPECT_EQ(shown[i].data, rte_pktmbuf_mtod(burst.mbufs[i], uint8_t*));
    EXPECT_EQ(shown[i].len, burst.mbufs[i]->pkt_len);
    EXPECT_EQ(shown[i].rest, 0);
  }
  burst.free_from(0);
}

TEST_F(FramesTest, TurnRoundWhatCanBeSentBackAndFreeTheRest) {
  put(packet({60}));
  put(packet({60}));
  auto* bytes = rte_pktmbuf_mtod(burst.mbufs[1], uint8_t*);
  std::memcpy(bytes, kFrame.data(), kFrame.size());
  const rte_mbuf* udp = burst.mbufs[1];
  EXPECT_EQ(frames.turn_round(burst, false), 1);
  ASSERT_EQ(burst.size, 1);
  EXPECT_EQ(burst.mbufs[0], udp);
  EXPECT_EQ(in_use(), 1U);
  EXPECT_TRUE(std::equal(bytes, bytes + 6, &kFrame[6])) << "to whom it came from";
  EXPECT_EQ(bytes[35], kFrame[37]) << "from the port that it was sent to";
  EXPECT_EQ(bytes[22], kFrame[22] - 1) << "a hop on";
  burst.free_from(0);
  EXPECT_EQ(frames.turn_round(burst, false), 0);
}

TEST_F(FramesTest, AreNoneForAnEmptyBurst) { EXPECT_EQ(frames.of(burst).writable().size(), 0U); }

TEST_F(FramesTest, JoinSegmentsWhereTheFirstHasRoom) {
  put(packet({100, 50, 7}));
  const rs::Frame frame = frames.of(burst).writable()[0];
  EXPECT_EQ(frame.len, 157);
  EXPECT_EQ(frame.rest, 0);
  EXPECT_EQ(frame.data[99], 1);
  EXPECT_EQ(frame.data[100], 2);
  EXPECT_EQ(frame.data[149], 2);
  EXPECT_EQ(frame.data[150], 3);
  EXPECT_EQ(frame.data[156], 3);
  EXPECT_EQ(burst.mbufs[0]->nb_segs, 1);
  EXPECT_EQ(in_use(), 1U) << "segments that are joined go back to their pool";
  burst.free_from(0);
}

TEST_F(FramesTest, ShowTheFirstSegmentWhereThereIsNoRoom) {
  constexpr uint16_t kFull = RTE_MBUF_DEFAULT_DATAROOM;
  put(packet({kFull, 50}));
  const rs::Frame frame = frames.of(burst).writable()[0];
  EXPECT_EQ(frame.len, kFull);
  EXPECT_EQ(frame.rest, 50);
  burst.free_from(0);
  EXPECT_EQ(in_use(), 0U);
}

TEST_F(FramesTest, ShowAllocatedPacketsAsIfTheyWereLookedAt) {
  ASSERT_TRUE(burst.allocate(pool.get(), 3, 98));
  Frames others;
  const rust::Slice<rs::Frame> looked_at = others.of(burst).writable();
  const rust::Slice<rs::Frame> shown = frames.of_allocated(burst, 0, 98).writable();
  ASSERT_EQ(shown.size(), looked_at.size());
  for (std::size_t i = 0; i < shown.size(); ++i) {
    EXPECT_EQ(shown[i].data, looked_at[i].data);
    EXPECT_EQ(shown[i].len, looked_at[i].len);
    EXPECT_EQ(shown[i].rest, looked_at[i].rest);
  }
  burst.free_from(0);
}

TEST_F(FramesTest, AreThoseOfTheWorkerThatTheyMovedTo) {
  put(packet({60}));
  const rs::Frame* const before = &frames.of(burst).writable()[0];
  Frames moved(std::move(frames));
  const rs::Frame* const after = &moved.of(burst).writable()[0];
  EXPECT_EQ(after, &moved[0]);
  EXPECT_NE(after, before);
  EXPECT_EQ(&moved.readable()[0], after);
  burst.free_from(0);
}

TEST_F(FramesTest, AreAsManyAsTheBurstHas) {
  for (const std::size_t size : {2U, 2U, 1U, 0U, 3U}) {
    while (burst.size < size) {
      put(packet({60}));
    }
    EXPECT_EQ(frames.of(burst).writable().size(), size);
    EXPECT_EQ(frames.readable().size(), size);
    burst.free_from(0);
  }
}

void nothing_slow(rte_mbuf* /*mbuf*/) { FAIL(); }

TEST_F(FramesTest, DropTheUnwantedAndKeepTheOrder) {
  constexpr uint16_t kPackets = 16;
  for (uint16_t i = 0; i < kPackets; ++i) {
    put(packet({60}));
  }
  const auto before = burst.mbufs;
  rust::Slice<rs::Frame> shown = frames.of(burst).writable();
  std::vector<rte_mbuf*> wanted;
  for (uint16_t i = 0; i < kPackets; ++i) {
    shown[i].verdict = i % 3 == 1 ? rs::Verdict::Send : rs::Verdict::Drop;
    if (i % 3 == 1) {
      wanted.push_back(before[i]);
    }
  }
  frames.drop_unwanted(burst, nothing_slow);
  EXPECT_EQ(std::vector(burst.mbufs.begin(), burst.mbufs.begin() + burst.size), wanted);
  EXPECT_EQ(in_use(), wanted.size());
  burst.free_from(0);
  EXPECT_EQ(in_use(), 0U);
}

TEST_F(FramesTest, DropAllSegments) {
  put(packet({RTE_MBUF_DEFAULT_DATAROOM, 50}));
  put(packet({60}));
  rust::Slice<rs::Frame> shown = frames.of(burst).writable();
  shown[0].verdict = rs::Verdict::Drop;
  shown[1].verdict = rs::Verdict::Send;
  frames.drop_unwanted(burst, nothing_slow);
  EXPECT_EQ(burst.size, 1);
  EXPECT_EQ(in_use(), 1U);
  burst.free_from(0);
}

TEST_F(FramesTest, HandOverWhatIsForTheControlThread) {
  put(packet({60}));
  put(packet({60}));
  rte_mbuf* const asked = burst.mbufs[0];
  rust::Slice<rs::Frame> shown = frames.of(burst).writable();
  shown[0].verdict = rs::Verdict::Slow;
  shown[1].verdict = rs::Verdict::Send;
  std::vector<rte_mbuf*> slow;
  frames.drop_unwanted(burst, [&slow](rte_mbuf* mbuf) { slow.push_back(mbuf); });
  EXPECT_EQ(slow, std::vector{asked});
  EXPECT_EQ(burst.size, 1);
  EXPECT_EQ(in_use(), 2U) << "it is not freed";
  rte_pktmbuf_free(asked);
  burst.free_from(0);
}

TEST_F(FramesTest, DropNoneAndAll) {
  for (const bool keep : {true, false}) {
    burst.size = 0;
    put(packet({60}));
    put(packet({60}));
    rust::Slice<rs::Frame> shown = frames.of(burst).writable();
    shown[0].verdict = keep ? rs::Verdict::Send : rs::Verdict::Drop;
    shown[1].verdict = shown[0].verdict;
    frames.drop_unwanted(burst, nothing_slow);
    EXPECT_EQ(burst.size, keep ? 2 : 0);
    EXPECT_EQ(in_use(), burst.size);
    burst.free_from(0);
  }
}

}  // namespace
}  // namespace dpdkproj
