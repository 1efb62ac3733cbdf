#include "dpdk/removal.hpp"

#include <gtest/gtest.h>
#include <rte_bus.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "dpdk/port.hpp"
#include "tests/virtual_port.hpp"

namespace {

/// The callback that a port has registered for the removal event.
rte_eth_dev_cb_fn on_removal = nullptr;
void* on_removal_argument = nullptr;
/// The name of every bus; nullptr: the real names.
const char* bus_name = nullptr;

}  // namespace

extern "C" {
int real_register(uint16_t port, rte_eth_event_type event, rte_eth_dev_cb_fn callback,
                  void* argument) asm("__real_rte_eth_dev_callback_register");
int fake_register(uint16_t port, rte_eth_event_type event, rte_eth_dev_cb_fn callback,
                  void* argument) asm("__wrap_rte_eth_dev_callback_register");
const char* real_bus_name(const rte_bus* bus) asm("__real_rte_bus_name");
const char* fake_bus_name(const rte_bus* bus) asm("__wrap_rte_bus_name");

int fake_register(uint16_t port, rte_eth_event_type event, rte_eth_dev_cb_fn callback,
                  void* argument) {
  if (event == RTE_ETH_EVENT_INTR_RMV) {
    on_removal = callback;
    on_removal_argument = argument;
  }
  return real_register(port, event, callback, argument);
}

const char* fake_bus_name(const rte_bus* bus) {
  return bus_name == nullptr ? real_bus_name(bus) : bus_name;
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
                            .checksum_offload = true,
                            .held_mbufs = 0};

class RemovalTest : public testing::Test {
 protected:
  VirtualPort device{"net_null"};
  PortInfo info = find_port("");
};

/// What a removed device returns (usually all bits set) is not a packet count.
TEST_F(RemovalTest, MakesThePortsCountersUnknown) {
  const Port port(info, kSmall);
  EXPECT_FALSE(port.is_removed());
  EXPECT_FALSE(port.counters().empty());
  EXPECT_TRUE(port.missed().has_value());
  on_removal(port.id(), RTE_ETH_EVENT_INTR_RMV, on_removal_argument, nullptr);
  EXPECT_TRUE(port.is_removed());
  EXPECT_TRUE(port.counters().empty());
  EXPECT_FALSE(port.missed().has_value());
}

/// The kernel lists an existing device in /sys/bus/NAME/devices.
TEST_F(RemovalTest, IsNoticedWhereTheKernelHasNoSuchDeviceAnyMore) {
  const std::string folder = "/tmp/dpdkproj-unit-" + std::to_string(getpid());
  const std::string shown = folder + "/devices/" + device.name();
  std::filesystem::create_directories(shown);
  const std::string name = "../.." + folder;
  bus_name = name.c_str();
  {
    const Port port(info, kSmall);
    EXPECT_FALSE(port.is_removed());
    std::filesystem::remove(shown);
    EXPECT_TRUE(port.is_removed());
    std::filesystem::create_directories(shown);
    EXPECT_TRUE(port.is_removed()) << "what comes back is another device";
  }
  bus_name = nullptr;
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace dpdkproj
