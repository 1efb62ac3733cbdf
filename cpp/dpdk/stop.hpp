#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace dpdkproj {

/// A request to stop. Made once, by one thread; it wakes every thread that sleeps in sleep().
class StopRequest {
 public:
  void make();
  bool is_made() const noexcept { return made_.load(std::memory_order_relaxed); }

  /// Sleeps for `duration`, or until a stop is requested. Returns whether one is.
  bool sleep(std::chrono::nanoseconds duration) const;

 private:
  std::atomic<bool> made_{false};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
};

/// A request that is never made.
const StopRequest& no_stop();

}  // namespace dpdkproj
