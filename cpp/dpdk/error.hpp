#pragma once

#include <stdexcept>
#include <string>

namespace dpdkproj {

/// A DPDK call failed.
class DpdkError : public std::runtime_error {
 public:
  /// `call` is what was called, with its arguments as far as they matter; `error` the errno value
  /// it gave, of either sign; `advice` what to change, where that is known.
  DpdkError(const std::string& call, int error, const std::string& advice = "");
};

/// The user asked for something that cannot be; the text says what is possible.
class UsageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws a DpdkError if `result` is negative.
void check(int result, const char* call, const std::string& advice = "");

}  // namespace dpdkproj
