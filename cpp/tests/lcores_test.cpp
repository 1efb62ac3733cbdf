#include "dataplane/lcores.hpp"

#include <gtest/gtest.h>
#include <rte_lcore.h>

namespace dpdkproj {
namespace {

TEST(AllLcores, BeginWithTheMainOne) {
  const std::vector<unsigned> lcores = all_lcores();
  ASSERT_EQ(lcores.size(), rte_lcore_count());
  EXPECT_EQ(lcores.front(), rte_get_main_lcore());
  EXPECT_EQ(lcores, (std::vector<unsigned>{0, 1}));
}

TEST(CpusOf, NamesEachOnce) {
  const rte_cpuset_t set = rte_lcore_cpuset(1);
  uint32_t cpu = 0;
  while (!CPU_ISSET(cpu, &set)) {
    ++cpu;
  }
  EXPECT_EQ(cpus_of(all_lcores()), std::vector<uint32_t>{cpu}) << "both share it";
  EXPECT_EQ(cpus_of({}), std::vector<uint32_t>{});
}

TEST(RunOnLcores, RunsEachOnItsOwnAndWaitsForAll) {
  const std::vector<unsigned> lcores = all_lcores();
  // Again and again: lcores are free once it has returned.
  for (int i = 0; i < 3; ++i) {
    std::vector<unsigned> ran(lcores.size(), LCORE_ID_ANY);
    std::vector<std::function<void()>> work;
    for (unsigned& place : ran) {
      work.emplace_back([&place] { place = rte_lcore_id(); });
    }
    run_on_lcores(lcores, work);
    EXPECT_EQ(ran, lcores);
  }
}

TEST(RunOnLcores, LeavesLcoresAloneThatHaveNoWork) {
  unsigned ran = 0;
  run_on_lcores(all_lcores(), {[&ran] { ++ran; }});
  EXPECT_EQ(ran, 1U);
}

}  // namespace
}  // namespace dpdkproj
