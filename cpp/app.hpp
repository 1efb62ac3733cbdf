#pragma once

#include <string>
#include <vector>

namespace dpdkproj {

/// Exit codes of the process.
enum ExitCode : int {
  kSuccess = 0,
  /// The run failed, or its results could not be written.
  kFailure = 1,
  /// The request is impossible.
  kUsage = 2,
  /// A given limit (--max-loss, --max-latency) was exceeded.
  kLimitBroken = 3,
  /// The peer did not answer within the timeout (--wait-peer).
  kNoPeer = 4,
};

/// Runs `dpdkproj [EAL args] -- <mode> [options]` and returns its exit code. Everything except
/// results requested on stdout (help, CSV, JSON) goes to stderr.
int run_app(const std::vector<std::string>& args);

}  // namespace dpdkproj
