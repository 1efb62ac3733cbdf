#pragma once

#include <algorithm>
#include <atomic>
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
#include "dataplane/served_port.hpp"
#include "dataplane/worker.hpp"
#include "dpdk/clock.hpp"
#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// What a mode works with: started ports, the session, a clock and the lcores. One object per run.
class Dataplane {
 public:
  Dataplane(ServedPorts& ports, rs::Session& session, const rs::Next& next,
            const rs::Options& options, const Clock& clock, const StopSignals& signals,
            Affinity& affinity)
      : ports_(ports),
        session_(session),
        next_(next),
        options_(options),
        clock_(clock),
        signals_(signals),
        affinity_(affinity) {}

  ServedPorts& ports() noexcept { return ports_; }
  /// The rx queues of all ports. A mode makes a worker for each.
  std::vector<QueueOfRun> rx_queues() { return all_queues(options_.rx_queues); }
  /// The tx queues of all ports.
  std::vector<QueueOfRun> tx_queues() { return all_queues(options_.tx_queues); }
  rs::Session& session() noexcept { return session_; }
  const rs::Options& options() const noexcept { return options_; }
  /// The parameters of the run for which the mode makes workers.
  const rs::Next& next() const noexcept { return next_; }
  /// The values of the mode's own options.
  ModeOptions mode_options() const noexcept { return ModeOptions(options_); }
  /// Its zero is the moment when workers start, as set by run_workers(), so that no run includes
  /// the time for making them. Workers keep a reference to it.
  const Clock& clock() const noexcept { return clock_; }

  /// For everything that waits while workers are made.
  const StopRequest& stop() const noexcept { return signals_.request(); }

  /// Runs these workers on the lcores of EAL until the run is over. Workers are assigned to lcores
  /// in the given order. If a stop was requested before the start, the run is over at once and no
  /// worker is polled.
  template <Worker... Ws>
  void run_workers(std::vector<Ws>... workers);

 private:
  /// A run that only asks the reflector uses the main lcore alone: it ends sooner if it need not
  /// wait for a poll of every lcore.
  bool only_asks() const noexcept {
    return next_.stage == rs::Stage::Preliminary && next_.warmup_ns == 0;
  }

  std::vector<QueueOfRun> all_queues(uint16_t of_each_port) {
    std::vector<QueueOfRun> queues;
    for (ServedPort& served : ports_) {
      for (uint16_t queue = 0; queue < of_each_port; ++queue) {
        queues.push_back({served, queue, static_cast<uint16_t>(queues.size())});
      }
    }
    return queues;
  }

  ServedPorts& ports_;
  rs::Session& session_;
  rs::Next next_;
  const rs::Options& options_;
  Clock clock_;
  const StopSignals& signals_;
  Affinity& affinity_;
};

template <Worker... Ws>
void Dataplane::run_workers(std::vector<Ws>... workers) {
  // Workers of different lcores are neighbours in memory.
  static_assert(((alignof(Ws) >= 2UL * RTE_CACHE_LINE_SIZE) && ...),
                "a worker needs cache lines of its own: alignas(2 * RTE_CACHE_LINE_SIZE)");
  using Share = std::tuple<std::vector<Ws>...>;
  const std::size_t count = (workers.size() + ...);
  std::vector<unsigned> lcores = all_lcores();
  warn_about_lcores(count, lcores.size());
  // An lcore without a worker would waste its core and slow down a hyperthread on the same core.
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

  for (const ServedPort& served : ports_) {
    warn_about_nodes(served.port.id(), served.port.numa_node(), lcores);
  }
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
  // Excludes from the run what arrived before any lcore polled.
  for (ServedPort& served : ports_) {
    served.port.begin_counting();
    served.slow_path.begin_counting();
  }
  clock_ = clock_.restarted();
  if (signals_.requested()) {
    session_.tick(0, {.stop_requested = true});
    return;
  }
  // A jthread, so that it is also joined if launching an lcore throws.
  std::jthread controller([&] {
    affinity_.apply(pthread_self());
    control(session_, ports_, clock_, signals_, phase);
  });
  run_on_lcores(lcores, work, [&phase] { phase.store(Phase::kStop); });
  controller.join();
  if (only_asks()) {
    for (const ServedPort& served : ports_) {
      served.port.flush_mempool_caches();
    }
  }
}

}  // namespace dpdkproj
