#include "dpdk/packet_sockets.hpp"

#include <dirent.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace dpdkproj {

namespace {

bool is_bound_to(int socket, unsigned interface) {
  sockaddr_ll address{};
  socklen_t length = sizeof address;
  return getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
         address.sll_family == AF_PACKET && static_cast<unsigned>(address.sll_ifindex) == interface;
}

}  // namespace

PacketSockets::PacketSockets(const rte_eth_dev_info& info) {
  if (std::string_view(info.driver_name) != "net_af_packet") {
    return;
  }
  // The driver does not expose its sockets, but they are among the descriptors of this process.
  const std::unique_ptr<DIR, int (*)(DIR*)> descriptors(opendir("/proc/self/fd"), closedir);
  if (!descriptors) {
    return;
  }
  while (const dirent* const entry = readdir(descriptors.get())) {
    const int descriptor = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && is_bound_to(descriptor, info.if_index)) {
      sockets_.push_back(descriptor);
    }
  }
}

uint64_t PacketSockets::dropped() noexcept {
  for (const int socket : sockets_) {
    tpacket_stats stats{};
    socklen_t length = sizeof stats;
    // Reading resets the kernel's counter.
    if (getsockopt(socket, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0) {
      dropped_ += stats.tp_drops;
    }
  }
  return dropped_;
}

}  // namespace dpdkproj
