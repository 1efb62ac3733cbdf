#include "dpdk/rss.hpp"

#include <algorithm>
#include <array>

namespace dpdkproj {

namespace {

/// The longest key of any driver; those longer than Microsoft's begin it anew.
constexpr std::size_t kLongestKey = 64;
constexpr std::array<uint8_t, 40> kMicrosoftKey = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

std::array<uint8_t, kLongestKey> repeated_key() {
  std::array<uint8_t, kLongestKey> key;
  for (std::size_t i = 0; i < key.size(); ++i) {
    key[i] = kMicrosoftKey[i % kMicrosoftKey.size()];
  }
  return key;
}

}  // namespace

void use_known_key(rte_eth_rss_conf& conf, const rte_eth_dev_info& info) {
  // DPDK wants a pointer to something that could be written, and writes nothing.
  static std::array<uint8_t, kLongestKey> key = repeated_key();
  if (info.hash_key_size >= kMicrosoftKey.size() && info.hash_key_size <= key.size()) {
    conf.rss_key = key.data();
    conf.rss_key_len = info.hash_key_size;
  }
}

std::optional<Rss> read_rss(uint16_t port_id) {
  rte_eth_dev_info info;
  if (rte_eth_dev_info_get(port_id, &info) != 0 || info.nb_rx_queues < 2) {
    return std::nullopt;
  }
  Rss rss{std::vector<uint8_t>(info.hash_key_size), std::vector<uint16_t>(info.reta_size)};
  rte_eth_rss_conf conf{};
  conf.rss_key = rss.key.data();
  conf.rss_key_len = info.hash_key_size;
  if (rss.key.empty() || rss.table.empty() || rte_eth_dev_rss_hash_conf_get(port_id, &conf) != 0 ||
      conf.rss_key_len != info.hash_key_size || conf.rss_hf == 0) {
    return std::nullopt;
  }
  std::vector<rte_eth_rss_reta_entry64> groups((rss.table.size() + RTE_ETH_RETA_GROUP_SIZE - 1) /
                                               RTE_ETH_RETA_GROUP_SIZE);
  std::ranges::for_each(groups, [](rte_eth_rss_reta_entry64& group) { group.mask = UINT64_MAX; });
  if (rte_eth_dev_rss_reta_query(port_id, groups.data(), info.reta_size) != 0) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < rss.table.size(); ++i) {
    rss.table[i] = groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
  }
  return rss;
}

}  // namespace dpdkproj
