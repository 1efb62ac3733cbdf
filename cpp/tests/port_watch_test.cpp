#include "dpdk/port_watch.hpp"

#include <gtest/gtest.h>
#include <rte_bus.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "dpdk/port.hpp"
#include "tests/virtual_port.hpp"

namespace {

/// The callback that a port has registered for events.
rte_eth_dev_cb_fn on_event = nullptr;
void* watch = nullptr;
/// The status of every link; nullopt: the real one.
std::optional<uint16_t> link_status;
/// The name of every bus; nullptr: the real names.
const char* bus_name = nullptr;

}  // namespace

extern "C" {
int real_register(uint16_t port, rte_eth_event_type event, rte_eth_dev_cb_fn callback,
                  void* argument) asm("__real_rte_eth_dev_callback_register");
int fake_register(uint16_t port, rte_eth_event_type event, rte_eth_dev_cb_fn callback,
                  void* argument) asm("__wrap_rte_eth_dev_callback_register");
int real_link_get(uint16_t port, rte_eth_link* link) asm("__real_rte_eth_link_get_nowait");
int fake_link_get(uint16_t port, rte_eth_link* link) asm("__wrap_rte_eth_link_get_nowait");
const char* real_bus_name(const rte_bus* bus) asm("__real_rte_bus_name");
const char* fake_bus_name(const rte_bus* bus) asm("__wrap_rte_bus_name");

int fake_register(uint16_t port, rte_eth_event_type event, rte_eth_dev_cb_fn callback,
                  void* argument) {
  on_event = callback;
  watch = argument;
  return real_register(port, event, callback, argument);
}

int fake_link_get(uint16_t port, rte_eth_link* link) {
  const int result = real_link_get(port, link);
  if (link_status) {
    link->link_status = *link_status & 1U;
  }
  return result;
}

const char* fake_bus_name(const rte_bus* bus) {
  return bus_name == nullptr ? real_bus_name(bus) : bus_name;
}
}

namespace dpdkproj {
namespace {

/// Makes the kernel seem to know a device: it lists those of a bus in /sys/bus/NAME/devices.
class ShownDevice {
 public:
  explicit ShownDevice(const std::string& device) : path(folder_ + "/devices/" + device) {
    std::filesystem::create_directories(path);
    bus_name = bus_.c_str();
  }
  ~ShownDevice() {
    bus_name = nullptr;
    std::filesystem::remove_all(folder_);
  }
  ShownDevice(const ShownDevice&) = delete;
  ShownDevice& operator=(const ShownDevice&) = delete;

 private:
  std::string folder_ = "/tmp/dpdkproj-unit-" + std::to_string(getpid());
  std::string bus_ = "../.." + folder_;

 public:
  const std::string path;
};

class PortWatchTest : public testing::Test {
 protected:
  ~PortWatchTest() override { link_status.reset(); }
  /// The driver reports this event.
  static void report(const Port& port, rte_eth_event_type event) {
    on_event(port.id(), event, watch, nullptr);
  }

  VirtualPort device{"net_null"};
  PortInfo info = find_port("");
};

/// What a removed device returns (usually all bits set) is not a packet count.
TEST_F(PortWatchTest, RemovalMakesThePortsCountersUnknown) {
  const Port port(info, small_port(1));
  EXPECT_FALSE(port.is_removed());
  EXPECT_FALSE(port.counters().empty());
  EXPECT_TRUE(port.missed().has_value());
  report(port, RTE_ETH_EVENT_INTR_RMV);
  EXPECT_TRUE(port.is_removed());
  EXPECT_TRUE(port.counters().empty());
  EXPECT_FALSE(port.missed().has_value());
}

TEST_F(PortWatchTest, RemovalIsNoticedWhereTheKernelHasNoSuchDeviceAnyMore) {
  const ShownDevice shown(device.name());
  const Port port(info, small_port(1));
  EXPECT_FALSE(port.is_removed());
  std::filesystem::remove(shown.path);
  EXPECT_TRUE(port.is_removed());
  std::filesystem::create_directories(shown.path);
  EXPECT_TRUE(port.is_removed()) << "what comes back is another device";
}

/// The kernel asks for a device under vfio.
TEST_F(PortWatchTest, NoticesThatTheDeviceIsToBeRemoved) {
  const ShownDevice shown(device.name());
  const Port port(info, small_port(1));
  EXPECT_FALSE(port.watch().is_removal_requested());
  rte_dev_event_callback_process(device.name().c_str(), RTE_DEV_EVENT_REMOVE);
  EXPECT_TRUE(port.watch().is_removal_requested());
  EXPECT_FALSE(port.is_removed()) << "it is still there";
}

/// A link that is up again when somebody looks has been down all the same.
TEST_F(PortWatchTest, RemembersThatTheLinkWentDown) {
  link_status = RTE_ETH_LINK_UP;
  const Port port(info, small_port(1));
  EXPECT_FALSE(port.watch().is_link_down());
  report(port, RTE_ETH_EVENT_INTR_LSC);
  EXPECT_FALSE(port.watch().take_link_loss()) << "it came up";
  link_status = RTE_ETH_LINK_DOWN;
  EXPECT_TRUE(port.watch().is_link_down());
  report(port, RTE_ETH_EVENT_INTR_LSC);
  link_status = RTE_ETH_LINK_UP;
  report(port, RTE_ETH_EVENT_INTR_LSC);
  EXPECT_FALSE(port.watch().is_link_down());
  EXPECT_TRUE(port.watch().take_link_loss());
  EXPECT_FALSE(port.watch().take_link_loss()) << "it is told once";
}

TEST_F(PortWatchTest, FollowsARecovery) {
  const Port port(info, small_port(1));
  report(port, RTE_ETH_EVENT_ERR_RECOVERING);
  EXPECT_TRUE(port.watch().is_recovering());
  report(port, RTE_ETH_EVENT_RECOVERY_SUCCESS);
  EXPECT_FALSE(port.watch().is_recovering() || port.watch().has_failed());
  report(port, RTE_ETH_EVENT_ERR_RECOVERING);
  report(port, RTE_ETH_EVENT_RECOVERY_FAILED);
  EXPECT_FALSE(port.watch().is_recovering());
  EXPECT_TRUE(port.watch().has_failed());
}

}  // namespace
}  // namespace dpdkproj
