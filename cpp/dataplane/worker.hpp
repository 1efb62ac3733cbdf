#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "dpdk/clock.hpp"

namespace dpdkproj {

/// Something that an lcore does over and over: `poll` handles one burst, or finds that there is
/// none. On this path there is no lock, allocation, system call, exception or I/O.
template <typename W>
concept Worker = noexcept(std::declval<W&>().poll(uint64_t{}));

/// A worker that sends packets of its own, or keeps some: `drain` is called once, when sending is
/// to end; `poll` still afterwards.
template <typename W>
concept Drainable = Worker<W> && noexcept(std::declval<W&>().drain(uint64_t{}));

/// How far a run is.
enum class Phase : int {
  kRun,
  /// Nothing is sent any more, what is under way still comes in.
  kDrain,
  /// Lcores return.
  kStop,
};
static_assert(std::atomic<Phase>::is_always_lock_free);

/// What an lcore does from its launch until Phase::kStop: polls all of its workers in turn. It may
/// be launched when Phase::kRun has passed. A template, so that the only indirect call is that of
/// the whole loop.
template <Worker... Ws>
void run_loop(const std::atomic<Phase>& phase, const Clock& clock,
              std::vector<Ws>&... workers) noexcept {
  const auto poll_each = [&clock](auto& some) noexcept {
    for (auto& worker : some) {
      worker.poll(clock.now_ns());
    }
  };
  const auto drain_each = []<typename W>(std::vector<W>& some, uint64_t now_ns) noexcept {
    if constexpr (Drainable<W>) {
      for (W& worker : some) {
        worker.drain(now_ns);
      }
    }
  };
  Phase seen = Phase::kRun;
  while (seen != Phase::kStop) {
    (poll_each(workers), ...);
    const Phase now = phase.load(std::memory_order_relaxed);
    if (now != seen) [[unlikely]] {
      if (seen == Phase::kRun) {
        (drain_each(workers, clock.now_ns()), ...);
      }
      seen = now;
    }
  }
}

}  // namespace dpdkproj
