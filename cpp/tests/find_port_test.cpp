#include "dpdk/find_port.hpp"

#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include <array>
#include <cstdio>
#include <string>

#include "dpdk/error.hpp"
#include "tests/virtual_port.hpp"

namespace dpdkproj {
namespace {

/// The error message of find_port(), or an empty string.
std::string complaint(const std::string& mac) {
  try {
    find_port(mac);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

std::string mac_of(uint16_t port_id) {
  rte_ether_addr address;
  EXPECT_EQ(rte_eth_macaddr_get(port_id, &address), 0);
  const auto& bytes = address.addr_bytes;
  std::array<char, 18> text;
  std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1],
                bytes[2], bytes[3], bytes[4], bytes[5]);
  return text.data();
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(FindPort, SaysThatThereIsNone) {
  expect_contains(complaint(""), "EAL found no port at all");
  expect_contains(complaint("02:00:00:00:00:01"), "-p 02:00:00:00:00:01: no such port");
}

TEST(FindPort, TakesTheOnlyOne) {
  const VirtualPort device("net_null");
  const PortInfo info = find_port("");
  EXPECT_EQ(info.mtu, 1500);
  EXPECT_GE(info.max_rx_queues, 1);
  EXPECT_GE(info.max_tx_queues, 1);
}

TEST(FindPort, GoesByMacAddress) {
  const VirtualPort first("net_null");
  const PortInfo first_info = find_port("");
  const VirtualPort second("net_null");
  EXPECT_EQ(find_port(mac_of(first_info.port_id)).port_id, first_info.port_id);
}

TEST(FindPort, ListsThePortsWhenItCannotTellWhich) {
  const VirtualPort first("net_null");
  const std::string mac = mac_of(find_port("").port_id);
  const VirtualPort second("net_ring");
  for (const char* asked : {"", "02:00:00:00:00:01"}) {
    const std::string text = complaint(asked);
    expect_contains(text, "-p ");
    expect_contains(text, first.name() + " (" + mac + ", net_null)");
    expect_contains(text, second.name() + " (00:00:00:00:00:00, net_ring)");
  }
}

TEST(FindPort, GoesByName) {
  const VirtualPort first("net_ring");
  const VirtualPort second("net_ring");
  const uint16_t first_id = find_port(first.name()).port_id;
  const uint16_t second_id = find_port(second.name()).port_id;
  EXPECT_NE(first_id, second_id);
  expect_contains(complaint("net_rin"), "-p net_rin: no such port: the ports are " + first.name());
}

/// All net_ring ports have the same MAC address.
TEST(FindPort, RefusesAnAddressOfSeveralPorts) {
  const VirtualPort first("net_ring");
  const VirtualPort second("net_ring");
  const VirtualPort other("net_null");
  const std::string text = complaint("00:00:00:00:00:00");
  expect_contains(text, "-p 00:00:00:00:00:00: that is the address of several ports: ");
  expect_contains(text, "give the name of one: " + first.name() + " (");
  expect_contains(text, ", " + second.name() + " (");
  EXPECT_EQ(text.find(other.name()), std::string::npos) << text;
}

}  // namespace
}  // namespace dpdkproj
