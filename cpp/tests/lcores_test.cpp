#include "dataplane/lcores.hpp"

#include <gtest/gtest.h>
#include <rte_lcore.h>
#include <rte_memory.h>

#include <atomic>

#include "dpdk/error.hpp"

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
  // Repeated: lcores are free again once it has returned.
  for (int i = 0; i < 3; ++i) {
    std::vector<unsigned> ran(lcores.size(), LCORE_ID_ANY);
    std::vector<std::function<void()>> work;
    for (unsigned& place : ran) {
      work.emplace_back([&place] { place = rte_lcore_id(); });
    }
    run_on_lcores(lcores, work, [] {});
    EXPECT_EQ(ran, lcores);
  }
}

// Launching fails because the lcore is busy already.
TEST(RunOnLcores, EndsTheOthersWhereOneCannotBeLaunched) {
  std::atomic<bool> given_up{false};
  std::atomic<int> returned{0};
  const auto until_given_up = [&] {
    while (!given_up) {
    }
    ++returned;
  };
  const auto not_run = [] { FAIL() << "not all have been launched"; };
  EXPECT_THROW(
      run_on_lcores({0, 1, 1}, {not_run, until_given_up, not_run}, [&] { given_up = true; }),
      DpdkError);
  EXPECT_EQ(returned, 1);
  EXPECT_EQ(rte_eal_get_lcore_state(1), WAIT);
}

TEST(WarnAboutNodes, NamesLcoresOnOthersOnce) {
  const std::vector<unsigned> lcores = all_lcores();
  const auto node = static_cast<int>(rte_lcore_to_socket_id(0));
  const auto said = [&](int port_node) {
    testing::internal::CaptureStderr();
    warn_about_nodes(7, port_node, lcores);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(said(node), "");
  EXPECT_EQ(said(SOCKET_ID_ANY), "") << "nobody knows";
  EXPECT_EQ(said(node + 1), "dpdkproj: port 7 is on NUMA node " + std::to_string(node + 1) +
                                ", and lcore(s) 0, 1 are not: packets go the long way; EAL's -l "
                                "chooses lcores\n");
  EXPECT_EQ(said(node + 1), "");
}

TEST(RunOnLcores, LeavesLcoresAloneThatHaveNoWork) {
  unsigned ran = 0;
  run_on_lcores(all_lcores(), {[&ran] { ++ran; }}, [] {});
  EXPECT_EQ(ran, 1U);
}

}  // namespace
}  // namespace dpdkproj
