#pragma once

#include <cstdint>
#include <string>

namespace dpdkproj {

/// What a port can do, before it is configured.
struct PortInfo {
  uint16_t port_id;
  uint16_t max_rx_queues;
  uint16_t max_tx_queues;
  uint16_t mtu;
};

/// The port that `asked` means: its MAC address (as `rte_ether_format_addr` writes it, in lower
/// case), its name, or the name of its device (of a PCI device: its address, domain included);
/// empty: the only one there is. Ports that belong to another one, as members of a bond do, are
/// left out.
///
/// Throws UsageError, with the ports there are, if it means none or several of them. Bonds are
/// configured on the way, because their members join them then and not before.
PortInfo find_port(const std::string& asked);

}  // namespace dpdkproj
