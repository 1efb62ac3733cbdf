#include "dataplane/control.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

namespace dpdkproj {

StopSignals::StopSignals() : requested_(new std::atomic<bool>(false)) {
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::thread([requested = requested_, stops] {
    constexpr int kInterrupted = 130;
    int signal = 0;
    sigwait(&stops, &signal);
    requested->store(true, std::memory_order_relaxed);
    sigwait(&stops, &signal);
    _exit(kInterrupted);
  }).detach();
}

Affinity::Affinity() { pthread_getaffinity_np(pthread_self(), sizeof cpus_, &cpus_); }

void Affinity::apply() const noexcept {
  pthread_setaffinity_np(pthread_self(), sizeof cpus_, &cpus_);
}

void control(rs::Run& run, const Clock& clock, const StopSignals& signals, uint64_t duration_ns,
             std::atomic<Phase>& phase) {
  constexpr uint64_t kTickNs = 5'000'000;
  uint64_t deadline_ns = duration_ns == 0 ? UINT64_MAX : duration_ns;
  bool draining = false;
  for (;;) {
    const uint64_t now_ns = clock.now_ns();
    run.tick(now_ns);
    if (!draining && (signals.requested() || now_ns >= deadline_ns || run.is_done())) {
      draining = true;
      run.stop(now_ns);
      deadline_ns = now_ns + run.drain_ns();
      phase.store(Phase::kDrain, std::memory_order_relaxed);
    } else if (draining && (run.is_drained() || now_ns >= deadline_ns)) {
      phase.store(Phase::kStop, std::memory_order_relaxed);
      return;
    }
    const uint64_t left_ns = deadline_ns - std::min(deadline_ns, clock.now_ns());
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(kTickNs, left_ns)));
  }
}

}  // namespace dpdkproj
