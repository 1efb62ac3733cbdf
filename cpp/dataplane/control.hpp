#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

#include "dataplane/worker.hpp"
#include "dpdk/clock.hpp"
#include "dpdk/port.hpp"
#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// Turns the first SIGINT or SIGTERM into a request to stop, and ends the process at once (code
/// 130) at the second. To be made before any other thread, so that they all leave the signals to
/// it. SIGPIPE is ignored from then on: writing to a pipe without a reader is an error to handle.
class StopSignals {
 public:
  StopSignals();
  bool requested() const noexcept { return requested_->load(std::memory_order_relaxed); }

 private:
  // Outlives this object, because the thread that writes it ends only with the process.
  std::atomic<bool>* requested_;
};

/// The CPUs that this process may use. EAL binds the thread that starts it, and so all threads
/// begun later, to the main lcore's CPU: ask before, and undo it in threads that are no lcore.
class Affinity {
 public:
  Affinity();
  /// Lets the calling thread use these CPUs.
  void apply() const noexcept;

 private:
  cpu_set_t cpus_;
};

/// Drives a run from beside the lcores, until they may return: closes intervals, shows what there
/// is to show, and moves `phase` on when the duration is over, the count is reached, or a signal
/// came.
void control(rs::Run& run, const Port& port, const Clock& clock, const StopSignals& signals,
             std::atomic<Phase>& phase);

}  // namespace dpdkproj
