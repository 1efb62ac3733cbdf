#pragma once

#include <cstdint>
#include <vector>

namespace dpdkproj {

/// Fakes what no virtual port does with offloads: tx offloads that no virtual port has: those in
/// `offered` are accepted and hidden from the driver (the fake calls are in tx_schedule_test.cpp).
struct FakeOffloads {
  uint64_t offered = 0;
  /// The offloads among them that the port was last configured with.
  uint64_t configured = 0;
  /// Length of the port's RSS key in bytes; 0: it takes none.
  uint8_t hash_key_size = 0;
  /// Refuses every RSS key.
  bool refuses_keys = false;
  /// The RSS key that the port was last configured with; empty: its own.
  std::vector<uint8_t> rss_key = {};
};

inline FakeOffloads fake_offloads;

}  // namespace dpdkproj
