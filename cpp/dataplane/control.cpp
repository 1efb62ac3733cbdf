#include "dataplane/control.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

namespace dpdkproj {

StopSignals::StopSignals() : request_(std::make_shared<StopRequest>()) {
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGTERM);
  struct sigaction hangup = {};
  if (sigaction(SIGHUP, nullptr, &hangup) != 0 || hangup.sa_handler != SIG_IGN) {
    sigaddset(&stops, SIGHUP);
  }
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  std::thread waiting([request = request_, stops] {
    constexpr int kInterrupted = 130;
    // The end of a session comes as several SIGHUPs: of the kernel, of the shell, of systemd behind
    // its SIGTERM.
    for (int orders = 0; orders < 2;) {
      int signal = 0;
      sigwait(&stops, &signal);
      request->make();
      orders += signal == SIGHUP ? 0 : 1;
    }
    _exit(kInterrupted);
  });
  thread_ = waiting.native_handle();
  waiting.detach();
}

void control(rs::Run& run, const Port& port, const Clock& clock, const StopSignals& signals,
             std::atomic<Phase>& phase) {
  constexpr uint64_t kTickNs = 5'000'000;
  // Drivers may have to ask the NIC, or the kernel.
  constexpr uint64_t kPortNs = 250'000'000;
  const uint64_t duration_ns = run.duration_ns();
  const uint64_t end_ns = duration_ns == 0 ? UINT64_MAX : duration_ns;
  uint64_t next_port_ns = 0;
  bool stopping = false;
  // It stopped by itself, and no signal has come since.
  bool patient = false;
  while (phase.load(std::memory_order_relaxed) != Phase::kStop) {
    const uint64_t now_ns = clock.now_ns();
    if (now_ns >= next_port_ns) {
      next_port_ns = now_ns + kPortNs;
      if (port.is_removed()) {
        run.port_removed(now_ns);
      } else if (const std::optional<uint64_t> missed = port.missed()) {
        run.port_missed(*missed);
      }
    }
    run.tick(now_ns);
    const bool signalled = signals.requested();
    if (patient && signalled) {
      patient = false;
      run.stop_waiting(now_ns);
    }
    if (!stopping && (signalled || now_ns >= end_ns || run.is_done())) {
      stopping = true;
      patient = !signalled;
      run.stop(now_ns);
      phase.store(Phase::kDrain, std::memory_order_relaxed);
    } else if (stopping && run.is_over(now_ns)) {
      phase.store(Phase::kStop, std::memory_order_relaxed);
      return;
    }
    const uint64_t left_ns = stopping ? kTickNs : end_ns - std::min(end_ns, clock.now_ns());
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(kTickNs, left_ns)));
  }
}

}  // namespace dpdkproj
