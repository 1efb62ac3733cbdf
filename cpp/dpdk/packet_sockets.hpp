#pragma once

#include <rte_ethdev.h>

#include <cstdint>
#include <vector>

namespace dpdkproj {

/// The sockets of a port of net_af_packet; of any other port there are none. The kernel counts the
/// frames that their rings had no room for, and the driver does not ask it.
class PacketSockets {
 public:
  PacketSockets() = default;
  /// Of a port that is started.
  explicit PacketSockets(const rte_eth_dev_info& info);

  /// Frames that have been thrown away since the port was started.
  uint64_t dropped() noexcept;

 private:
  std::vector<int> sockets_;
  uint64_t dropped_ = 0;
};

}  // namespace dpdkproj
