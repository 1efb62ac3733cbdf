#pragma once

#include <rte_cycles.h>

#include <cstdint>
#include <optional>

#include "dpdk/stop.hpp"

namespace dpdkproj {

/// A reading of the TSC and one of CLOCK_MONOTONIC, taken as close together as possible.
struct ClockReading {
  uint64_t tsc;
  uint64_t monotonic_ns;

  static ClockReading take() noexcept;
};

/// Nanoseconds per TSC cycle, times 2^32, computed from two readings.
uint64_t ns_per_cycle(const ClockReading& from, const ClockReading& to) noexcept;

/// Nanoseconds since construction, from the TSC: one instruction and one multiplication.
class Clock {
 public:
  /// Calibrates the TSC against CLOCK_MONOTONIC since `earlier`; sleeps until `earlier` is 200 ms
  /// ago. (Where the CPU does not report its TSC frequency, rte_get_tsc_hz() rounds to 10 MHz:
  /// rates and latencies would be up to 0.2 % off.) A stop request ends the sleep, because nothing
  /// will be measured then.
  explicit Clock(const ClockReading& earlier, const StopRequest& stop = no_stop());

  /// A copy of this clock whose zero is now.
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

/// The system clock (CLOCK_REALTIME): ns since 1970-01-01 00:00 UTC.
uint64_t unix_ns() noexcept;

/// How well the system clock is synchronised, according to the kernel (adjtimex(2)), which knows it
/// from chrony, ntpd or whatever else disciplines the clock.
struct ClockSync {
  bool synchronised;            // STA_UNSYNC is not set
  uint64_t max_error_us;        // its error is at most this
  uint64_t estimated_error_us;  // its error is estimated to be this

  /// nullopt if the system call fails.
  static std::optional<ClockSync> read() noexcept;
};

}  // namespace dpdkproj
