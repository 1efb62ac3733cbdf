#include "dpdk/find_port.hpp"

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "dpdk/error.hpp"
#include "dpdk/hints.hpp"

namespace dpdkproj {

namespace {

// Renamed in DPDK 23.11.
#ifdef RTE_ETH_DEV_BONDING_MEMBER
constexpr uint32_t kBondMember = RTE_ETH_DEV_BONDING_MEMBER;
#else
constexpr uint32_t kBondMember = RTE_ETH_DEV_BONDED_SLAVE;
#endif

/// A port with everything that can identify it.
struct Named {
  uint16_t id;
  std::string mac;
  std::string name;
  std::string device;
  std::string driver;
  bool is_bond_member;

  bool is_called(std::string_view asked) const {
    return asked == mac || asked == name || asked == device;
  }
};

rte_eth_dev_info info_of(uint16_t port_id) {
  rte_eth_dev_info info;
  check(rte_eth_dev_info_get(port_id, &info), "rte_eth_dev_info_get");
  return info;
}

std::string mac_of(uint16_t port_id) {
  rte_ether_addr address;
  check(rte_eth_macaddr_get(port_id, &address), "rte_eth_macaddr_get");
  std::array<char, RTE_ETHER_ADDR_FMT_SIZE> text;
  rte_ether_format_addr(text.data(), text.size(), &address);
  for (char& c : text) {
    if (c >= 'A' && c <= 'F') {
      c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return text.data();
}

std::string name_of(uint16_t port_id) {
  std::array<char, RTE_ETH_NAME_MAX_LEN> name;
  check(rte_eth_dev_get_name_by_port(port_id, name.data()), "rte_eth_dev_get_name_by_port");
  return name.data();
}

/// Ports without an owner. (netvsc owns its VF, which has the same MAC address.)
std::vector<uint16_t> port_ids() {
  std::vector<uint16_t> ids;
  uint64_t id = rte_eth_find_next_owned_by(0, RTE_ETH_DEV_NO_OWNER);
  while (id < RTE_MAX_ETHPORTS) {
    ids.push_back(static_cast<uint16_t>(id));
    id = rte_eth_find_next_owned_by(ids.back() + 1, RTE_ETH_DEV_NO_OWNER);
  }
  return ids;
}

/// Until it is configured, a bond has no members, no offloads, and not its final MAC address (the
/// one given to it, or that of a member).
void join_bonds() {
  for (const uint16_t port_id : port_ids()) {
    if (std::string_view(info_of(port_id).driver_name) == "net_bonding") {
      const rte_eth_conf conf{};
      check(rte_eth_dev_configure(port_id, 1, 1, &conf), "rte_eth_dev_configure",
            "a bond does not get its members: see the --vdev of " + name_of(port_id));
    }
  }
}

std::vector<Named> ports() {
  std::vector<Named> ports;
  for (const uint16_t port_id : port_ids()) {
    const rte_eth_dev_info info = info_of(port_id);
    const char* device = info.device == nullptr ? nullptr : rte_dev_name(info.device);
    ports.push_back({port_id, mac_of(port_id), name_of(port_id), device == nullptr ? "" : device,
                     info.driver_name, (*info.dev_flags & kBondMember) != 0});
  }
  return ports;
}

std::string list(const std::vector<Named>& ports) {
  std::string list;
  for (const Named& port : ports) {
    list += (list.empty() ? "" : ", ") + port.name + " (" + port.mac + ", " + port.driver + ")";
  }
  return list;
}

std::string there_are(const std::vector<Named>& ports) {
  return ports.empty() ? name_commands(
                             "EAL found no port at all: bind a NIC to a DPDK driver "
                             "(scripts/doctor says how), or give EAL a --vdev")
                       : "the ports are " + list(ports);
}

/// The ports for which `wanted` returns true.
template <typename F>
std::vector<Named> ports_that(const std::vector<Named>& ports, F wanted) {
  std::vector<Named> found;
  std::ranges::copy_if(ports, std::back_inserter(found), wanted);
  return found;
}

Named choose(const std::string& asked) {
  const std::vector<Named> all = ports();
  const std::vector<Named> free =
      ports_that(all, [](const Named& port) { return !port.is_bond_member; });
  if (asked.empty()) {
    if (free.size() != 1) {
      throw UsageError("-p is missing, and there is not exactly one port: " + there_are(free));
    }
    return free.front();
  }
  // A name is unique; several ports may share an address.
  std::vector<Named> found =
      ports_that(free, [&](const Named& port) { return port.name == asked; });
  if (found.empty()) {
    found = ports_that(free, [&](const Named& port) { return port.is_called(asked); });
  }
  if (found.size() > 1) {
    throw UsageError(
        "-p " + asked +
        ": that is the address of several ports: give the name of one: " + list(found));
  }
  if (found.empty()) {
    const auto is_asked = [&](const Named& port) { return port.is_called(asked); };
    throw UsageError("-p " + asked +
                     (std::ranges::any_of(all, is_asked)
                          ? ": that port is a member of a bond; give the bond: "
                          : ": no such port: ") +
                     there_are(free));
  }
  return found.front();
}

/// The largest MTU: drivers limit it, or the length of frames, or both.
uint16_t max_mtu(const rte_eth_dev_info& info) {
  constexpr uint32_t kAroundMtu = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
  const bool says_both = info.max_mtu != UINT16_MAX && info.max_rx_pktlen > info.max_mtu;
  const uint32_t around = says_both ? info.max_rx_pktlen - info.max_mtu : kAroundMtu;
  const uint32_t by_length = info.max_rx_pktlen - std::min(info.max_rx_pktlen, around);
  return static_cast<uint16_t>(std::min<uint32_t>(info.max_mtu, by_length));
}

PortInfo describe(uint16_t port_id) {
  const rte_eth_dev_info info = info_of(port_id);
  uint16_t mtu = 0;
  check(rte_eth_dev_get_mtu(port_id, &mtu), "rte_eth_dev_get_mtu");
  return {port_id, info.max_rx_queues, info.max_tx_queues, mtu, info.min_mtu, max_mtu(info)};
}

}  // namespace

PortInfo find_port(const std::string& asked) {
  join_bonds();
  return describe(choose(asked).id);
}

std::vector<PortInfo> find_ports(const std::vector<std::string>& asked) {
  if (asked.empty()) {
    return {find_port("")};
  }
  std::vector<PortInfo> found;
  for (const std::string& name : asked) {
    const PortInfo port = find_port(name);
    if (std::ranges::find(found, port.port_id, &PortInfo::port_id) != found.end()) {
      throw UsageError("-p " + name + ": another -p names the same port, " + name_of(port.port_id) +
                       "; leave one of them out");
    }
    found.push_back(port);
  }
  return found;
}

}  // namespace dpdkproj
