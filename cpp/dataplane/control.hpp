#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/slow_path.hpp"
#include "dataplane/worker.hpp"
#include "dpdk/clock.hpp"
#include "dpdk/port.hpp"
#include "dpdk/stop.hpp"
#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// Turns SIGINT, SIGTERM and SIGHUP into a request to stop, and ends the process at once (code 130)
/// at the second SIGINT or SIGTERM. A SIGHUP that was ignored before (nohup) still is. To be made
/// before any other thread, so that they all leave the signals to it. SIGPIPE and SIGXFSZ are
/// ignored from then on: a pipe without a reader and a file at its limit are errors to handle.
class StopSignals {
 public:
  StopSignals();
  bool requested() const noexcept { return request_->is_made(); }
  const StopRequest& request() const noexcept { return *request_; }
  /// The thread that waits for signals, which ends only with the process.
  pthread_t thread() const noexcept { return thread_; }

 private:
  // That thread has it, too, and may outlive this object.
  std::shared_ptr<StopRequest> request_;
  pthread_t thread_;
};

/// Drives the run at hand from beside the lcores, until they may return: `session` decides how far
/// it is, and `phase` follows. Returns also where someone else has moved it to Phase::kStop.
void control(rs::Session& session, const Port& port, SlowPath& slow_path, const Clock& clock,
             const StopSignals& signals, std::atomic<Phase>& phase);

}  // namespace dpdkproj
