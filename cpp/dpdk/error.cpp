#include "dpdk/error.hpp"

#include <rte_errno.h>

#include <cstdlib>
#include <sstream>

namespace dpdkproj {

namespace {

std::string message(const std::string& call, int error, const std::string& advice) {
  // DPDK does not always give a reason: rte_strerror(0) is "Success".
  std::string text = call;
  if (error != 0) {
    text += std::string(": ") + rte_strerror(std::abs(error));
  } else if (advice.empty()) {
    text += ": failed, and DPDK does not say why";
  }
  if (!advice.empty()) {
    text += (error == 0 ? ": " : "; ") + advice;
  }
  return text;
}

}  // namespace

DpdkError::DpdkError(const std::string& call, int error, const std::string& advice)
    : std::runtime_error(message(call, error, advice)) {}

void check(int result, const char* call, const std::string& advice) {
  if (result < 0) {
    throw DpdkError(call, result, advice);
  }
}

std::string in_seconds(std::chrono::milliseconds time) {
  std::ostringstream text;
  text << std::chrono::duration<double>(time).count() << " s";
  return text.str();
}

}  // namespace dpdkproj
