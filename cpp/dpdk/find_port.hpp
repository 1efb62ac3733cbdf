#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dpdkproj {

/// Capabilities of a port, before it is configured.
struct PortInfo {
  uint16_t port_id;
  uint16_t max_rx_queues;
  uint16_t max_tx_queues;
  uint16_t mtu;
  /// What the MTU can be set to.
  uint16_t min_mtu;
  uint16_t max_mtu;
};

/// Finds the port named by `asked`: its MAC address (in the form of `rte_ether_format_addr`, in
/// lower case), its name, or the name of its device (for PCI: the address with its domain). If
/// `asked` is empty, finds the only port there is. Ports that another port owns, such as members of
/// a bond, are ignored.
///
/// Throws UsageError with a list of ports if no port matches, or several do. Also configures bonds,
/// because only then do their members join.
PortInfo find_port(const std::string& asked);

/// Finds the ports named by `asked`, in this order; if `asked` is empty, the only port there is.
/// Throws a UsageError as find_port(), and if two names are those of one port.
std::vector<PortInfo> find_ports(const std::vector<std::string>& asked);

}  // namespace dpdkproj
