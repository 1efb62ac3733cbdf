#pragma once

#include <rte_ethdev.h>

#include <cstdint>
#include <vector>

namespace dpdkproj {

/// The sockets of a net_af_packet port; empty for any other driver. The kernel counts the frames
/// for which the rings of these sockets had no room, but the driver does not read that counter.
class PacketSockets {
 public:
  PacketSockets() = default;
  /// The port must have been started.
  explicit PacketSockets(const rte_eth_dev_info& info);

  /// Frames dropped since the port was started.
  uint64_t dropped() noexcept;

 private:
  std::vector<int> sockets_;
  uint64_t dropped_ = 0;
};

}  // namespace dpdkproj
