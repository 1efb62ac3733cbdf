#pragma once

#include <rte_cycles.h>

#include <cstdint>

#include "dpdk/stop.hpp"

namespace dpdkproj {

/// A pair of readings of the TSC and of CLOCK_MONOTONIC, as close together as can be had.
struct ClockReading {
  uint64_t tsc;
  uint64_t monotonic_ns;

  static ClockReading take() noexcept;
};

/// Nanoseconds per cycle of the TSC, times 2^32, as two readings tell.
uint64_t ns_per_cycle(const ClockReading& from, const ClockReading& to) noexcept;

/// Nanoseconds since its construction, from the TSC: one instruction and a multiplication.
class Clock {
 public:
  /// Measures the TSC against CLOCK_MONOTONIC since `earlier`; waits until that is a fifth of a
  /// second ago. (rte_get_tsc_hz() rounds to 10 MHz where the CPU does not tell its frequency:
  /// that would be up to 0.2 % off, in rates and latencies alike.) Where a stop is requested
  /// nothing is to be measured, and it waits no longer.
  explicit Clock(const ClockReading& earlier, const StopRequest& stop = no_stop());

  /// The same clock, with now as its zero.
  Clock restarted() const noexcept {
    Clock clock(*this);
    clock.start_tsc_ = rte_rdtsc();
    return clock;
  }

  uint64_t now_ns() const noexcept {
    const uint64_t cycles = rte_rdtsc() - start_tsc_;
    return static_cast<uint64_t>((static_cast<unsigned __int128>(cycles) * ns_per_cycle_) >> 32);
  }

 private:
  uint64_t ns_per_cycle_;  // times 2^32
  uint64_t start_tsc_;
};

}  // namespace dpdkproj
