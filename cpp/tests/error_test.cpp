#include "dpdk/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace dpdkproj {
namespace {

TEST(DpdkError, SaysWhatFailedAndWhy) {
  EXPECT_STREQ(DpdkError("call", -ENOMEM).what(), "call: Cannot allocate memory");
  EXPECT_STREQ(DpdkError("call", ENOMEM, "give more").what(),
               "call: Cannot allocate memory; give more");
}

TEST(DpdkError, SuccessIsNeverTheReason) {
  EXPECT_STREQ(DpdkError("call", 0, "see above").what(), "call: see above");
  EXPECT_STREQ(DpdkError("call", 0).what(), "call: failed, and DPDK does not say why");
}

}  // namespace
}  // namespace dpdkproj
