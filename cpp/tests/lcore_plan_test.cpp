#include "dataplane/lcore_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace dpdkproj {
namespace {

using Plan = std::vector<std::size_t>;

TEST(PlanLcores, GivesEachWorkerItsOwnLcoreInOrderWhenThereAreEnough) {
  EXPECT_EQ(plan_lcores(4, 4), (Plan{0, 1, 2, 3}));
  // The article's configuration: 15 rx queues and 1 tx queue on 16 lcores, including the main
  // lcore.
  const Plan plan = plan_lcores(16, 16);
  for (std::size_t worker = 0; worker < plan.size(); ++worker) {
    EXPECT_EQ(plan[worker], worker);
  }
  EXPECT_EQ(plan_lcores(2, 16), (Plan{0, 1}));
}

TEST(PlanLcores, RunsAllOnOneLcore) { EXPECT_EQ(plan_lcores(3, 1), (Plan{0, 0, 0})); }

TEST(PlanLcores, DealsOutInTurn) { EXPECT_EQ(plan_lcores(5, 2), (Plan{0, 1, 0, 1, 0})); }

TEST(PlanLcores, IsBalancedWhateverTheNumbers) {
  for (std::size_t workers = 1; workers <= 40; ++workers) {
    for (std::size_t lcores = 1; lcores <= 20; ++lcores) {
      std::vector<std::size_t> load(lcores);
      const Plan plan = plan_lcores(workers, lcores);
      ASSERT_EQ(plan.size(), workers);
      for (const std::size_t lcore : plan) {
        ASSERT_LT(lcore, lcores);
        ++load[lcore];
      }
      const auto [least, most] = std::ranges::minmax(load);
      EXPECT_LE(most - least, 1U) << workers << " workers, " << lcores << " lcores";
    }
  }
}

}  // namespace
}  // namespace dpdkproj
