#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "dpdk/clock.hpp"

namespace dpdkproj {

/// An object that an lcore polls in a loop: `poll` processes one burst, or finds none. It must not
/// lock, allocate, make system calls, throw or do I/O.
template <typename W>
concept Worker = noexcept(std::declval<W&>().poll(uint64_t{}));

/// A worker that originates packets or holds some back: `drain` is called once, when sending is to
/// end; `poll` is still called afterwards.
template <typename W>
concept Drainable = Worker<W> && noexcept(std::declval<W&>().drain(uint64_t{}));

/// The phase of a run.
enum class Phase : int {
  kRun,
  /// Nothing is sent any more; in-flight packets still arrive.
  kDrain,
  /// Lcores return.
  kStop,
};
static_assert(std::atomic<Phase>::is_always_lock_free);

/// The loop of an lcore from its launch until Phase::kStop: polls all of its workers in turn. The
/// lcore may be launched after Phase::kRun is over. It is a template, so that the only indirect
/// call is the one of the whole loop.
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
