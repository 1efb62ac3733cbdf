#pragma once

#include <rte_ethdev.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace dpdkproj {

/// Detects that a port's device is removed: a NIC that is unplugged, a VF that the host revokes.
class Removal {
 public:
  /// Watches port `port_id`, which belongs to `device`.
  Removal(uint16_t port_id, const rte_device* device);
  ~Removal();
  Removal(const Removal&) = delete;
  Removal& operator=(const Removal&) = delete;

  /// Whether the device is gone, for good. Makes system calls.
  bool is_noticed() const noexcept;

 private:
  static int on_event(uint16_t port_id, rte_eth_event_type type, void* self, void* result);

  uint16_t port_id_;
  /// The sysfs path of the device, which exists as long as the device does; empty for virtual
  /// devices.
  std::string path_;
  mutable std::atomic<bool> noticed_{false};
};

}  // namespace dpdkproj
