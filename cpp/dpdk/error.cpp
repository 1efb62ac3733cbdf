#include "dpdk/error.hpp"

#include <rte_errno.h>

#include <cstdlib>

namespace dpdkproj {

DpdkError::DpdkError(const std::string& call, int error, const std::string& advice)
    : std::runtime_error(call + ": " + rte_strerror(std::abs(error)) +
                         (advice.empty() ? "" : "; " + advice)) {}

void check(int result, const char* call, const std::string& advice) {
  if (result < 0) {
    throw DpdkError(call, result, advice);
  }
}

}  // namespace dpdkproj
