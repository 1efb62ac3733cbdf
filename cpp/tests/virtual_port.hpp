#pragma once

#include <gtest/gtest.h>
#include <rte_dev.h>

#include <cstdint>
#include <string>

#include "dpdk/port.hpp"
#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// The MAC addresses of the only port of a session.
inline rust::Slice<const rs::MacAddress> one_mac() {
  static constexpr rs::MacAddress kMac{{2, 0, 0, 0, 0, 1}};
  return {&kMac, 1};
}

/// A port with as many rx as tx queues, and small pools.
inline PortConfig small_port(uint16_t queues) {
  return {.rx_queues = queues,
          .tx_queues = queues,
          .rx_descriptors = 256,
          .tx_descriptors = 256,
          .rx_burst = 32,
          .tx_burst = 32,
          .offloads = {},
          .held_mbufs = 0};
}

/// A port of `driver`, such as net_null or net_ring, for the lifetime of this object.
class VirtualPort {
 public:
  explicit VirtualPort(const std::string& driver, const std::string& args = "")
      : name_(driver + std::to_string(next_++)) {
    EXPECT_EQ(rte_eal_hotplug_add("vdev", name_.c_str(), args.c_str()), 0) << name_;
  }
  ~VirtualPort() { rte_eal_hotplug_remove("vdev", name_.c_str()); }
  VirtualPort(const VirtualPort&) = delete;
  VirtualPort& operator=(const VirtualPort&) = delete;

  const std::string& name() const { return name_; }

 private:
  // A unique name: net_ring keeps its rings by name when the port is removed.
  static inline int next_ = 0;
  std::string name_;
};

}  // namespace dpdkproj
