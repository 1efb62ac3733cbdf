#include "dpdk/stop.hpp"

namespace dpdkproj {

void StopRequest::make() {
  {
    // Not between a sleeper's check and its wait.
    const std::scoped_lock lock(mutex_);
    made_.store(true, std::memory_order_relaxed);
  }
  changed_.notify_all();
}

bool StopRequest::sleep(std::chrono::nanoseconds duration) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, duration, [this] { return is_made(); });
}

const StopRequest& no_stop() {
  static const StopRequest never;
  return never;
}

}  // namespace dpdkproj
