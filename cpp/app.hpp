#pragma once

#include <string>
#include <vector>

namespace dpdkproj {

/// How the process ends.
enum ExitCode : int {
  kSuccess = 0,
  /// The run, or writing down what it found, went wrong.
  kFailure = 1,
  /// What was asked cannot be.
  kUsage = 2,
  /// A limit that was given (--max-loss, --max-latency) was broken.
  kLimitBroken = 3,
};

/// Runs `dpdkproj [EAL args] -- <mode> [options]` and returns its exit code. Everything but results
/// that were asked for on stdout (help, CSV, JSON) goes to stderr.
int run_app(const std::vector<std::string>& args);

}  // namespace dpdkproj
