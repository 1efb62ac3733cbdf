#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dpdkproj {

/// Numbers with names, in the order in which they are shown.
using Figures = std::vector<std::pair<std::string, uint64_t>>;

/// What DPDK's telemetry socket tells about the running measurement.
struct Telemetry {
  Figures summary;
  /// Of each queue, by its name.
  std::vector<std::pair<std::string, Figures>> queues;
  Figures histogram;
};

/// From now on, and as long as the process runs (DPDK cannot unregister a command), the commands
/// /dpdkproj/summary, /dpdkproj/queues and /dpdkproj/histogram return `telemetry`. DPDK calls them
/// in threads of its own, so they take a lock; call this on a control thread. An answer that
/// exceeds what DPDK can return is cut off.
void publish(Telemetry telemetry);

}  // namespace dpdkproj
