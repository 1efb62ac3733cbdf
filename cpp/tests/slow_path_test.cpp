#include "dataplane/slow_path.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>

#include "dpdk/burst.hpp"
#include "dpdk/find_port.hpp"
#include "tests/virtual_port.hpp"

namespace dpdkproj {
namespace {

rust::Box<rs::Session> asking() {
  rust::Vec<rust::String> args;
  for (const char* word : {"sendrecv", "--src", "10.0.0.1", "--dest", "10.0.0.2:7", "--dest-mac",
                           "02:00:00:00:00:02", "-q"}) {
    args.push_back(word);
  }
  rust::Vec<rs::Mode> modes;
  modes.push_back({"sendrecv", "", rs::Meaning::Measures, rs::Queues::Own, {}, {}});
  rust::Box<rs::Session> session =
      rs::open_session(*rs::parse_args({}, std::move(args), std::move(modes)), {});
  session->next(one_mac(), false);
  return session;
}

/// A loopback port, and the session of a sender that has a question to send.
class SlowPathTest : public testing::Test {
 protected:
  SlowPathTest() {
    const rs::Facts stopped{.stop_requested = true};
    session->tick(0, stopped);
    session->tick(10'000'000'000, stopped);
    for_each_mbuf(port.tx_pool(0), [](unsigned /*index*/, rte_mbuf* mbuf) {
      std::fill_n(buffer_of(mbuf), kPrepared, kPattern);
    });
  }

  static constexpr uint16_t kPrepared = 1514;
  static constexpr uint8_t kPattern = 0x5a;

  static uint8_t* buffer_of(rte_mbuf* mbuf) {
    return static_cast<uint8_t*>(mbuf->buf_addr) + RTE_PKTMBUF_HEADROOM;
  }

  const VirtualPort device{"net_ring"};
  Port port{find_port(""), small_port(1)};
  std::optional<SlowPath> slow{std::in_place, port};
  rust::Box<rs::Session> session = asking();
  Burst burst;
};

TEST_F(SlowPathTest, SendsFromTheQueuesPoolAndLeavesItsBuffersAsTheyWerePrepared) {
  SlowPath::Outlet outlet = slow->outlet(port.tx_pool(0), kPrepared);
  EXPECT_FALSE(outlet.is_waiting());
  slow->serve(*session, 0, 1);
  ASSERT_TRUE(outlet.is_waiting());
  outlet.send(port.tx_queue(0));
  EXPECT_FALSE(outlet.is_waiting());
  EXPECT_EQ(slow->sent(), 1U);
  port.rx_queue(0).receive(burst);
  ASSERT_EQ(burst.size, 1);
  rte_mbuf* mbuf = burst.mbufs[0];
  EXPECT_EQ(mbuf->pool, port.tx_pool(0));
  EXPECT_EQ(rte_mbuf_refcnt_read(mbuf), 1);
  EXPECT_GE(mbuf->data_off, RTE_PKTMBUF_HEADROOM + kPrepared + RTE_PKTMBUF_HEADROOM)
      << "drivers write into the headroom";
  const auto* bytes = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  EXPECT_TRUE(std::ranges::equal(one_mac()[0].bytes, std::span(bytes + 6, 6)))
      << "from the port's address";
  EXPECT_GT(mbuf->data_len, 42);
  EXPECT_EQ(rte_mempool_in_use_count(port.tx_pool(0)), 1U) << "what is sent is the driver's";
  burst.free_from(0);
  for_each_mbuf(port.tx_pool(0), [](unsigned /*index*/, rte_mbuf* each) {
    const uint8_t* buffer = buffer_of(each);
    EXPECT_TRUE(std::all_of(buffer, buffer + kPrepared, [](uint8_t b) { return b == kPattern; }));
  });
}

TEST_F(SlowPathTest, SendsNothingWhereBuffersHaveNoRoomForIt) {
  const unsigned in_use = rte_mempool_in_use_count(port.tx_pool(0));
  const auto room = static_cast<uint16_t>(rte_pktmbuf_data_room_size(port.tx_pool(0)) -
                                          RTE_PKTMBUF_HEADROOM - 64);
  SlowPath::Outlet outlet = slow->outlet(port.tx_pool(0), room);
  slow->serve(*session, 0, 1);
  outlet.send(port.tx_queue(0));
  EXPECT_EQ(slow->sent(), 0U);
  port.rx_queue(0).receive(burst);
  EXPECT_EQ(burst.size, 0);
  EXPECT_EQ(rte_mempool_in_use_count(port.tx_pool(0)), in_use);
}

TEST_F(SlowPathTest, FreesWhatTheControlThreadNeverTook) {
  const unsigned in_use = rte_mempool_in_use_count(port.tx_pool(0));
  ASSERT_TRUE(burst.allocate(port.tx_pool(0), 5, 60));
  SlowPath::Inlet inlet = slow->inlet(0);
  std::for_each_n(burst.mbufs.begin(), 5, [&](rte_mbuf* mbuf) { inlet.take(mbuf); });
  slow.reset();
  EXPECT_EQ(rte_mempool_in_use_count(port.tx_pool(0)), in_use);
}

}  // namespace
}  // namespace dpdkproj
