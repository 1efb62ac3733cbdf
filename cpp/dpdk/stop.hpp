#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace dpdkproj {

/// That what goes on is to end. Made once, by one thread, for all that wait for something: none of
/// them waits on.
class StopRequest {
 public:
  void make();
  bool is_made() const noexcept { return made_.load(std::memory_order_relaxed); }

  /// Sleeps for `duration`, or until a stop is requested; whether one is.
  bool sleep(std::chrono::nanoseconds duration) const;

 private:
  std::atomic<bool> made_{false};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
};

/// One that nobody makes.
const StopRequest& no_stop();

}  // namespace dpdkproj
