#include "dataplane/control.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "dataplane/terminal.hpp"
#include "dpdk/telemetry.hpp"

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
    // When a login session ends, several SIGHUPs arrive: from the kernel, from the shell, and from
    // systemd after its SIGTERM. So they do not count towards the second signal.
    for (int orders = 0; orders < 2;) {
      int signal = 0;
      sigwait(&stops, &signal);
      request->make();
      orders += signal == SIGHUP ? 0 : 1;
    }
    rescue_terminal();
    _exit(kInterrupted);
  });
  thread_ = waiting.native_handle();
  waiting.detach();
}

namespace {

/// What the ports have dropped. May require requests to NICs or the kernel.
void read_missed(const ServedPorts& ports, rs::Facts& facts) {
  facts.port_says_missed = true;
  facts.port_missed = 0;
  for (const ServedPort& served : ports) {
    const std::optional<uint64_t> missed = served.port.missed();
    facts.port_says_missed = facts.port_says_missed && missed.has_value();
    facts.port_missed += missed.value_or(0);
  }
}

/// What happens to the ports beside their traffic.
void watch_ports(const ServedPorts& ports, rs::Facts& facts) {
  facts.ports_removed = facts.links_down = facts.links_lost = 0;
  facts.ports_recovering = facts.ports_failed = facts.removals_requested = 0;
  uint64_t bit = 1;
  for (const ServedPort& served : ports) {
    const PortWatch& watch = served.port.watch();
    facts.ports_removed |= watch.is_removed() ? bit : 0;
    facts.removals_requested |= watch.is_removal_requested() ? bit : 0;
    facts.links_lost |= watch.take_link_loss() ? bit : 0;
    facts.links_down |= watch.is_link_down() ? bit : 0;
    facts.ports_recovering |= watch.is_recovering() ? bit : 0;
    facts.ports_failed |= watch.has_failed() ? bit : 0;
    bit <<= 1;
  }
}

}  // namespace

namespace {

Figures of_rust(const rust::Vec<rs::Figure>& figures) {
  Figures copies;
  copies.reserve(figures.size());
  for (const rs::Figure& figure : figures) {
    copies.emplace_back(std::string(figure.name), figure.value);
  }
  return copies;
}

Telemetry of_rust(const rs::Telemetry& telemetry) {
  Telemetry copy{of_rust(telemetry.summary), {}, of_rust(telemetry.histogram)};
  for (const rs::QueueFigures& queue : telemetry.queues) {
    copy.queues.emplace_back(std::string(queue.name), of_rust(queue.figures));
  }
  return copy;
}

}  // namespace

void control(rs::Session& session, ServedPorts& ports, const Clock& clock,
             const StopSignals& signals, std::atomic<Phase>& phase) noexcept {
  constexpr uint64_t kMissedNs = 250'000'000;
  constexpr uint64_t kWatchNs = 50'000'000;
  uint64_t next_missed_ns = 0;
  uint64_t next_watch_ns = 0;
  rs::Facts facts{};
  while (phase.load(std::memory_order_relaxed) != Phase::kStop) {
    const uint64_t now_ns = clock.now_ns();
    if (now_ns >= next_missed_ns) {
      next_missed_ns = now_ns + kMissedNs;
      read_missed(ports, facts);
    }
    if (now_ns >= next_watch_ns) {
      next_watch_ns = now_ns + kWatchNs;
      watch_ports(ports, facts);
    }
    facts.stop_requested = signals.requested() || facts.removals_requested != 0;
    // The slow path is served before the tick, so that an answer ends the run that waits for it in
    // this iteration.
    uint16_t index = 0;
    for (ServedPort& served : ports) {
      served.slow_path.serve(session, index++, now_ns);
    }
    const rs::Tick tick = session.tick(now_ns, facts);
    if (!tick.telemetry.summary.empty()) {
      publish(of_rust(tick.telemetry));
    }
    switch (tick.phase) {
      case rs::Phase::Drain:
        phase.store(Phase::kDrain, std::memory_order_relaxed);
        break;
      case rs::Phase::Over:
        phase.store(Phase::kStop, std::memory_order_relaxed);
        return;
      default:
        break;
    }
    const uint64_t left_ns = tick.next_ns - std::min(tick.next_ns, clock.now_ns());
    std::this_thread::sleep_for(std::chrono::nanoseconds(left_ns));
  }
}

}  // namespace dpdkproj
