#include <pthread.h>
#include <rte_pause.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>

#include "bench.hpp"

namespace dpdkproj {

void pin_to(unsigned cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  if (pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus) != 0) {
    throw std::runtime_error("CPU " + std::to_string(cpu) + " is not there, or not for us");
  }
}

void bench_ping_pong(unsigned first, unsigned second) {
  // A slice lasts about a millisecond, so that an interrupted one does not distort the median.
  constexpr unsigned kSlices = 101;
  constexpr unsigned kRoundTrips = 5000;
  constexpr unsigned kAll = kSlices * kRoundTrips;
  // both threads: rw. Odd: it is the second thread's turn.
  alignas(128) std::atomic<unsigned> ball{0};
  const auto wait_for = [&ball](unsigned turn) {
    while (ball.load(std::memory_order_acquire) != turn) {
      rte_pause();
    }
  };
  pin_to(first);
  std::atomic<bool> pinned{false};
  std::atomic<bool> failed{false};
  std::thread other([&] {
    try {
      pin_to(second);
    } catch (const std::exception&) {
      failed = true;
    }
    pinned = true;
    for (unsigned trip = 0; trip < kAll && !failed; ++trip) {
      wait_for(2 * trip + 1);
      ball.store(2 * trip + 2, std::memory_order_release);
    }
  });
  while (!pinned) {
    std::this_thread::yield();
  }
  std::array<double, kSlices> ns{};
  unsigned trip = 0;
  for (double& slice : ns) {
    const auto start = std::chrono::steady_clock::now();
    for (unsigned i = 0; i < kRoundTrips && !failed; ++i, ++trip) {
      ball.store(2 * trip + 1, std::memory_order_release);
      wait_for(2 * trip + 2);
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    slice = took.count() / kRoundTrips;
  }
  other.join();
  if (failed) {
    throw std::runtime_error("CPU " + std::to_string(second) + " is not there, or not for us");
  }
  std::ranges::sort(ns);
  std::printf("{\"round_trip_ns\": {\"median\": %.1f, \"min\": %.1f, \"max\": %.1f}}\n",
              ns[kSlices / 2], ns.front(), ns.back());
}

}  // namespace dpdkproj
