#pragma once

#include <cstdint>

namespace dpdkproj {

/// Fakes tx offloads that no virtual port has: those in `offered` are accepted and hidden from the
/// driver (the fake calls are in tx_schedule_test.cpp).
struct FakeOffloads {
  uint64_t offered = 0;
  /// The offloads among them that the port was last configured with.
  uint64_t configured = 0;
};

inline FakeOffloads fake_offloads;

}  // namespace dpdkproj
