#include "dataplane/mode.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace dpdkproj {
namespace {

void run_nothing(Dataplane& /*dataplane*/) {}

// Registered in non-alphabetical order.
Mode mode(std::string_view name) {
  return {name, "Of this test", rs::Meaning::Counts, rs::Queues::RxOnly, false, run_nothing};
}
const RegisterMode kLast(mode("zz-of-this-test"));
const RegisterMode kFirst(mode("aa-of-this-test"));

TEST(AllModes, AreSortedByName) {
  const std::vector<Mode> modes = all_modes();
  EXPECT_TRUE(std::ranges::is_sorted(modes, {}, &Mode::name));
  EXPECT_EQ(modes.front().name, "aa-of-this-test");
  EXPECT_EQ(modes.back().name, "zz-of-this-test");
}

// Nothing refers to them by name: they exist because they are linked in.
TEST(AllModes, HoldTheModesOfTheProgram) {
  const std::vector<Mode> modes = all_modes();
  for (const std::string_view name : {"sendrecv", "reflect", "rxonly"}) {
    const auto mode = std::ranges::find(modes, name, &Mode::name);
    ASSERT_NE(mode, modes.end()) << name;
    EXPECT_FALSE(mode->about.empty()) << name;
    EXPECT_NE(mode->run, nullptr) << name;
  }
}

TEST(AllModes, HaveNamesOfTheirOwn) {
  const std::vector<Mode> modes = all_modes();
  EXPECT_EQ(std::ranges::adjacent_find(modes, {}, &Mode::name), modes.end());
}

}  // namespace
}  // namespace dpdkproj
