#pragma once

#include <rte_ethdev.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace dpdkproj {

/// How a port spreads packets over its rx queues.
struct Rss {
  /// The key of the Toeplitz hash.
  std::vector<uint8_t> key;
  /// The rx queue of each value of the low bits of the hash (RETA).
  std::vector<uint16_t> table;
};

/// Puts a known key into `conf`, if the driver says how long its keys are. It is the key of
/// Microsoft's examples, with which the default source ports spread exactly evenly over a power of
/// two of queues (rust/core/src/wire/toeplitz.rs).
void use_known_key(rte_eth_rss_conf& conf, const rte_eth_dev_info& info);

/// Key and table of a started port; nullopt if it does not spread packets, or if its driver does
/// not tell how.
std::optional<Rss> read_rss(uint16_t port_id);

}  // namespace dpdkproj
