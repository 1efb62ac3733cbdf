#pragma once

#include <rte_dev.h>
#include <rte_ethdev.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace dpdkproj {

/// Watches what happens to a port beside its traffic: its link goes down or comes up, its driver
/// recovers from an error, its device is removed (a NIC that is unplugged, a VF that the host
/// revokes).
class PortWatch {
 public:
  /// Watches port `port_id`, which belongs to `device`.
  PortWatch(uint16_t port_id, const rte_device* device);
  ~PortWatch();
  PortWatch(const PortWatch&) = delete;
  PortWatch& operator=(const PortWatch&) = delete;

  /// Whether the device is gone, for good. Makes system calls.
  bool is_removed() const noexcept;

  /// Whether the kernel has asked for the device under vfio, because it is to be unplugged. It
  /// waits until the port is closed.
  bool is_removal_requested() const noexcept { return removal_requested_; }

  /// Whether the link is down. May ask the driver.
  bool is_link_down() const noexcept;

  /// Whether the driver has reported since the last call that the link went down. It may be up
  /// again.
  bool take_link_loss() const noexcept { return lost_link_.exchange(false); }

  /// Whether the driver is recovering from an error. Until it has recovered, it sends and receives
  /// nothing.
  bool is_recovering() const noexcept { return recovering_; }

  /// Whether the driver has given up recovering.
  bool has_failed() const noexcept { return failed_; }

 private:
  static int on_event(uint16_t port_id, rte_eth_event_type type, void* self, void* result);

  static void on_device_event(const char* name, rte_dev_event_type type, void* self);

  uint16_t port_id_;
  /// The sysfs path of the device, which exists as long as the device does; empty for virtual
  /// devices.
  std::string path_;
  /// EAL's name of the device, if that has a path.
  std::string device_name_;
  // The thread that the driver reports events from: wo, control thread: rw.
  mutable std::atomic<bool> removed_{false};
  mutable std::atomic<bool> lost_link_{false};
  std::atomic<bool> removal_requested_{false};
  std::atomic<bool> recovering_{false};
  std::atomic<bool> failed_{false};
};

}  // namespace dpdkproj
