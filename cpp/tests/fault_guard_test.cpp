#include "dpdk/fault_guard.hpp"

#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <sys/mman.h>

#include <array>

#include "dpdk/queue.hpp"
#include "tests/virtual_port.hpp"

namespace dpdkproj {
namespace {

/// Reads from memory that is mapped no more, as net_memif does when its peer goes.
uint16_t read_unmapped(rte_mbuf** mbufs) {
  const std::size_t size = 4096;
  void* const memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(memory, size);
  return mbufs == nullptr ? 0 : *static_cast<volatile uint16_t*>(memory);
}

uint16_t fault_on_rx(uint16_t /*port*/, uint16_t /*queue*/, rte_mbuf** mbufs, uint16_t /*count*/,
                     uint16_t /*most*/, void* /*unused*/) {
  return read_unmapped(mbufs);
}

uint16_t fault_on_tx(uint16_t /*port*/, uint16_t /*queue*/, rte_mbuf** mbufs, uint16_t /*count*/,
                     void* /*unused*/) {
  return read_unmapped(mbufs);
}

struct GuardedQueues : testing::Test {
  GuardedQueues() { FaultGuard::install(); }

  VirtualPort device{"net_null"};
  Port port{find_port(device.name()), small_port(1)};
  RxQueue rx{port.id(), 0, 32, false, true};
  TxQueue tx{port.id(), 0, 32, false, true};
  Burst burst;
};

TEST_F(GuardedQueues, AFaultWhileReceivingIsAnEmptyBurst) {
  const auto* callback = rte_eth_add_rx_callback(port.id(), 0, fault_on_rx, nullptr);
  for (int turn = 0; turn < 3; ++turn) {
    rx.receive(burst);
    EXPECT_EQ(burst.size, 0);
  }
  EXPECT_EQ(rte_eth_remove_rx_callback(port.id(), 0, callback), 0);
  rx.receive(burst);
  EXPECT_EQ(burst.size, 32) << "what comes later is received";
  EXPECT_EQ(rx.delivered(), 32U);
  burst.free_from(0);
}

TEST_F(GuardedQueues, AfterAFaultWhileSendingNoPacketIsUsedAgain) {
  const auto* callback = rte_eth_add_tx_callback(port.id(), 0, fault_on_tx, nullptr);
  ASSERT_TRUE(burst.allocate(port.tx_pool(0), 5, 60));
  EXPECT_EQ(tx.send(burst), 5);
  EXPECT_EQ(rte_eth_remove_tx_callback(port.id(), 0, callback), 0);
  ASSERT_TRUE(burst.allocate(port.tx_pool(0), 3, 60));
  EXPECT_EQ(tx.send(burst), 3);
  EXPECT_EQ(tx.accepted(), 8U);
}

TEST_F(GuardedQueues, AFaultElsewhereStillEndsTheProcess) {
  std::array<rte_mbuf*, 1> mbufs{};
  rx.receive(burst);  // the guard of an earlier call is gone
  burst.free_from(0);
  EXPECT_EXIT(read_unmapped(mbufs.data()), testing::KilledBySignal(SIGSEGV), "");
}

TEST(FaultGuard, IsForTheDriverThatNeedsIt) {
  EXPECT_TRUE(FaultGuard::is_needed("net_memif"));
  EXPECT_FALSE(FaultGuard::is_needed("net_mlx5"));
}

}  // namespace
}  // namespace dpdkproj
