#pragma once

#include <rte_ethdev.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace dpdkproj {

/// Notices when a port's device goes away: a NIC that is pulled, a VF that the host takes.
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
  /// Where the kernel shows the device as long as it is there; empty: nowhere, as virtual ones.
  std::string path_;
  mutable std::atomic<bool> noticed_{false};
};

}  // namespace dpdkproj
