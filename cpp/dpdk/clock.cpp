#include "dpdk/clock.hpp"

#include <sys/timex.h>

#include <chrono>

namespace dpdkproj {

namespace {

uint64_t read_monotonic_ns() noexcept {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(since).count());
}

}  // namespace

uint64_t unix_ns() noexcept {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(since).count());
}

std::optional<ClockSync> ClockSync::read() noexcept {
  timex state{};
  if (adjtimex(&state) < 0) {
    return std::nullopt;
  }
  return ClockSync{.synchronised = (state.status & STA_UNSYNC) == 0,
                   .max_error_us = static_cast<uint64_t>(state.maxerror),
                   .estimated_error_us = static_cast<uint64_t>(state.esterror)};
}

ClockReading ClockReading::take() noexcept {
  ClockReading best{};
  uint64_t best_width = UINT64_MAX;
  // An interrupt between the readings would spoil a single attempt.
  for (int attempt = 0; attempt < 16; ++attempt) {
    const uint64_t before = rte_rdtsc();
    const uint64_t ns = read_monotonic_ns();
    const uint64_t width = rte_rdtsc() - before;
    if (width < best_width) {
      best_width = width;
      best = {before + width / 2, ns};
    }
  }
  return best;
}

uint64_t ns_per_cycle(const ClockReading& from, const ClockReading& to) noexcept {
  const unsigned __int128 ns = to.monotonic_ns - from.monotonic_ns;
  return static_cast<uint64_t>((ns << 32) / (to.tsc - from.tsc));
}

Clock::Clock(const ClockReading& earlier, const StopRequest& stop) {
  constexpr uint64_t kBaselineNs = 200'000'000;
  const uint64_t elapsed = read_monotonic_ns() - earlier.monotonic_ns;
  if (elapsed < kBaselineNs) {
    stop.sleep(std::chrono::nanoseconds(kBaselineNs - elapsed));
  }
  ns_per_cycle_ = ns_per_cycle(earlier, ClockReading::take());
  start_tsc_ = rte_rdtsc();
}

}  // namespace dpdkproj
