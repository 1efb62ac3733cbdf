#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/served_port.hpp"
#include "dataplane/worker.hpp"
#include "dpdk/clock.hpp"
#include "dpdk/stop.hpp"
#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// Turns SIGINT, SIGTERM and SIGHUP into a stop request; the second SIGINT or SIGTERM ends the
/// process at once (exit code 130). A SIGHUP that was ignored before (nohup) stays ignored. Must be
/// constructed before any other thread is started, so that all threads inherit the signal mask.
/// Also ignores SIGPIPE and SIGXFSZ: a pipe without a reader and a file at its size limit are
/// errors to handle.
class StopSignals {
 public:
  StopSignals();
  bool requested() const noexcept { return request_->is_made(); }
  const StopRequest& request() const noexcept { return *request_; }
  /// The thread that waits for signals. It runs as long as the process.
  pthread_t thread() const noexcept { return thread_; }

 private:
  // Shared with that thread, which may outlive this object.
  std::shared_ptr<StopRequest> request_;
  pthread_t thread_;
};

/// The control thread's loop: drives the current run of `session` until it is over. `session`
/// decides on the phase, and `phase` follows it. Also returns if another thread sets `phase` to
/// Phase::kStop.
void control(rs::Session& session, ServedPorts& ports, const Clock& clock,
             const StopSignals& signals, std::atomic<Phase>& phase) noexcept;

}  // namespace dpdkproj
