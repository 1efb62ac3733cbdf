#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <thread>
#include <tuple>
#include <vector>

#include "dataplane/affinity.hpp"
#include "dataplane/control.hpp"
#include "dataplane/lcore_plan.hpp"
#include "dataplane/lcores.hpp"
#include "dataplane/mode_options.hpp"
#include "dataplane/slow_path.hpp"
#include "dataplane/worker.hpp"
#include "dpdk/clock.hpp"
#include "dpdk/port.hpp"
#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// What a mode has to work with: a started port, the session whose run it counts in, a clock, and
/// lcores.
class Dataplane {
 public:
  Dataplane(Port& port, SlowPath& slow_path, rs::Session& session, const rs::Next& next,
            const rs::Options& options, const Clock& clock, const StopSignals& signals,
            Affinity& affinity)
      : port_(port),
        slow_path_(slow_path),
        session_(session),
        next_(next),
        options_(options),
        clock_(clock),
        signals_(signals),
        affinity_(affinity) {}

  Port& port() noexcept { return port_; }
  rs::Session& session() noexcept { return session_; }
  const rs::Options& options() const noexcept { return options_; }
  /// What the run that workers are made for is like.
  const rs::Next& next() const noexcept { return next_; }
  /// Those that the mode has registered for itself.
  ModeOptions mode_options() const noexcept { return ModeOptions(options_); }
  /// Its zero is the moment when workers begin, and an earlier one before: what making them takes
  /// is not in any run. To be kept by reference.
  const Clock& clock() const noexcept { return clock_; }

  /// What workers do not take, and what the control thread sends.
  SlowPath& slow_path() noexcept { return slow_path_; }

  /// For all that waits while workers are made.
  const StopRequest& stop() const noexcept { return signals_.request(); }

  /// Runs these workers on the lcores that EAL was given until the run is over. Workers are taken
  /// in the order given when they are dealt out to lcores. A run that was to end before it began is
  /// over at once, and none of them is polled.
  template <Worker... Ws>
  void run_workers(std::vector<Ws>... workers);

 private:
  /// The main lcore polls all workers of a run that only asks a question: it is over sooner if it
  /// need not wait until every lcore has polled.
  bool only_asks() const noexcept {
    return next_.stage == rs::Stage::Preliminary && next_.warmup_ns == 0;
  }

  Port& port_;
  SlowPath& slow_path_;
  rs::Session& session_;
  rs::Next next_;
  const rs::Options& options_;
  Clock clock_;
  const StopSignals& signals_;
  Affinity& affinity_;
};

template <Worker... Ws>
void Dataplane::run_workers(std::vector<Ws>... workers) {
  // Those of several lcores are neighbours in memory.
  static_assert(((alignof(Ws) >= 2UL * RTE_CACHE_LINE_SIZE) && ...),
                "a worker needs cache lines of its own: alignas(2 * RTE_CACHE_LINE_SIZE)");
  using Share = std::tuple<std::vector<Ws>...>;
  const std::size_t count = (workers.size() + ...);
  std::vector<unsigned> lcores = all_lcores();
  warn_about_lcores(count, lcores.size());
  // One without a worker would only burn its core, and slow down a hyperthread beside it.
  const std::size_t most = only_asks() ? 1 : lcores.size();
  lcores.resize(std::clamp<std::size_t>(count, 1, most));
  const std::vector<std::size_t> plan = plan_lcores(count, lcores.size());
  std::vector<Share> shares(lcores.size());
  std::size_t next = 0;
  const auto deal_out = [&](auto& some) {
    for (auto& worker : some) {
      using W = std::decay_t<decltype(worker)>;
      std::get<std::vector<W>>(shares[plan[next++]]).push_back(std::move(worker));
    }
  };
  (deal_out(workers), ...);

  warn_about_nodes(port_.id(), port_.numa_node(), lcores);
  const Cpus polling = cpus_of(lcores);
  affinity_.leave_to_lcores(polling);
  affinity_.apply(signals_.thread());
  {
    const Affinity::Guest guest(affinity_);
    rust::Vec<uint32_t> cpus;
    std::ranges::copy(polling, std::back_inserter(cpus));
    session_.begin_on(std::move(cpus));
  }
  std::atomic<Phase> phase{Phase::kRun};
  std::vector<std::function<void()>> work;
  work.reserve(shares.size());
  for (Share& share : shares) {
    work.emplace_back([this, &phase, &share] {
      std::apply([&](auto&... mine) { run_loop(phase, clock_, mine...); }, share);
    });
  }
  // What came in while workers were made, nobody was there to take.
  port_.begin_counting();
  slow_path_.begin_counting();
  clock_ = clock_.restarted();
  if (signals_.requested()) {
    session_.tick(0, {.stop_requested = true});
    return;
  }
  std::exception_ptr failure;
  // Joined also where lcores cannot be launched.
  std::jthread controller([&] {
    affinity_.apply(pthread_self());
    try {
      control(session_, port_, slow_path_, clock_, signals_, phase);
    } catch (...) {
      failure = std::current_exception();
      phase.store(Phase::kStop);
    }
  });
  run_on_lcores(lcores, work, [&phase] { phase.store(Phase::kStop); });
  controller.join();
  if (only_asks()) {
    port_.flush_mempool_caches();
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace dpdkproj
