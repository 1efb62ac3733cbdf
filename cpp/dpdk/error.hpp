#pragma once

#include <chrono>
#include <stdexcept>
#include <string>

namespace dpdkproj {

/// A DPDK call failed.
class DpdkError : public std::runtime_error {
 public:
  /// `call` is the failed call, with the arguments that matter; `error` the errno value that it
  /// returned, of either sign; `advice` what the user can change, if that is known.
  DpdkError(const std::string& call, int error, const std::string& advice = "");
};

/// The request of the user is impossible; the text says what is possible.
class UsageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws a DpdkError if `result` is negative.
void check(int result, const char* call, const std::string& advice = "");

/// A time for a message: `10 s`, `0.25 s`.
std::string in_seconds(std::chrono::milliseconds time);

}  // namespace dpdkproj
