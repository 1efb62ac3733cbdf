#include "dpdk/hints.hpp"

#include <gtest/gtest.h>
#include <rte_log.h>

#include <cstdio>

namespace dpdkproj {
namespace {

TEST(Hints, EveryExampleIsFoundByItsRow) {
  ASSERT_GT(known_errors().size(), 30U);
  for (const KnownError& error : known_errors()) {
    EXPECT_EQ(known_error(error.example), &error) << error.pattern;
    EXPECT_FALSE(error.cause.empty() || error.fix.empty()) << error.pattern;
    EXPECT_TRUE(error.level == "fault" || error.level == "warning" || error.level == "note")
        << error.pattern;
  }
  EXPECT_EQ(known_error("EAL: Detected CPU lcores: 2"), nullptr);
  EXPECT_EQ(known_error(""), nullptr);
}

TEST(Hints, PartsOfAPatternComeInOrder) {
  EXPECT_NE(known_error("VMBUS: only 2 resources found!"), nullptr);
  EXPECT_EQ(known_error("2 resources found! VMBUS: only"), nullptr);
}

TEST(Hints, OnlyTheWorstIsSaidAndEachCauseOnce) {
  const std::string note = "EAL: No free 2048 kB hugepages reported on node 0\n";
  const std::string fault = "EAL: FATAL: Cannot get hugepage information.\n";
  const std::string warning = "hn_vf_attach(): Couldn't find port for VF\n";
  EXPECT_TRUE(hints("EAL: Detected CPU lcores: 2\n").empty());
  EXPECT_EQ(hints(note).size(), 1U);
  EXPECT_EQ(hints(note + warning + warning), warnings(warning));
  const std::vector<std::string> said = hints(note + fault + warning + fault);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said.front(),
            "there are no free hugepages: sudo scripts/setup-host --hugepages 2M:1024 (--no-huge "
            "does without)");
  EXPECT_TRUE(warnings(note + fault).empty());
  EXPECT_EQ(warnings(note + fault + warning).size(), 1U);
}

TEST(Hints, CommandsHaveTheNamesThatTheyAreInstalledUnder) {
  const std::string_view text = "sudo scripts/setup-host --bind eth1; scripts/doctor says more";
  EXPECT_EQ(name_commands(text, false), text);
  EXPECT_EQ(name_commands(text, true),
            "sudo dpdkproj-setup-host --bind eth1; dpdkproj-doctor says more");
  EXPECT_FALSE(is_installed());
}

TEST(Hints, MessagesAreKeptUntilForgotten) {
  keep_log();
  rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "%s\n", "before");
  EXPECT_EQ(kept_log(), "before\n");
  rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "%s\n", std::string(100'000, 'x').c_str());
  rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "%s\n", "last");
  EXPECT_LE(kept_log().size(), 65'536U);
  EXPECT_TRUE(kept_log().ends_with("x\nlast\n"));
  forget_log();
  rte_log(RTE_LOG_ERR, RTE_LOGTYPE_EAL, "%s\n", "after");
  EXPECT_EQ(kept_log(), "");
  rte_openlog_stream(stderr);
}

}  // namespace
}  // namespace dpdkproj
