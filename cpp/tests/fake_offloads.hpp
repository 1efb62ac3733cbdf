#pragma once

#include <cstdint>

namespace dpdkproj {

/// Tx offloads that no virtual port has: those in `offered` are taken for real, and kept from the
/// driver (the fakes of its calls are in tx_schedule_test.cpp).
struct FakeOffloads {
  uint64_t offered = 0;
  /// Those of them that the port was last configured with.
  uint64_t configured = 0;
};

inline FakeOffloads fake_offloads;

}  // namespace dpdkproj
