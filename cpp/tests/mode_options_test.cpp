#include "dataplane/mode_options.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <numeric>

#include "dataplane/mode.hpp"
#include "dpdk/error.hpp"
#include "rust/cxx.h"

namespace dpdkproj {
namespace {

using Words = std::initializer_list<const char*>;

const Mode kMine{.name = "mine",
                 .about = "Of this test",
                 .meaning = rs::Meaning::Forwards,
                 .queues = rs::Queues::Mixed,
                 .needs_link = false,
                 .run = nullptr,
                 .options = {{.name = "eager", .kind = rs::OptionKind::Flag, .help = "A flag"},
                             {.name = "every",
                              .kind = rs::OptionKind::Number,
                              .value_name = "N",
                              .help = "A number",
                              .default_value = "10",
                              .min = 1,
                              .max = 100},
                             {.name = "hold",
                              .kind = rs::OptionKind::Duration,
                              .value_name = "TIME",
                              .default_value = "1ms"},
                             {.name = "label",
                              .kind = rs::OptionKind::Text,
                              .value_name = "TEXT",
                              .default_value = ""},
                             {.name = "rank", .kind = rs::OptionKind::Number, .value_name = "N"}},
                 .counters = {{"seen", "Packets that were seen", rs::LedgerPlace::Note}}};

rust::Box<rs::Config> parse(const Mode& mode, Words words) {
  rust::Vec<rust::String> args;
  for (const char* word : words) {
    args.push_back(word);
  }
  rust::Vec<rs::Mode> modes;
  modes.push_back(to_rust(mode));
  return rs::parse_args({}, std::move(args), std::move(modes));
}

/// The message of the UsageError that `ask` throws.
template <typename F>
std::string refusal(F ask) {
  try {
    ask();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "nothing";
}

TEST(ModeOptions, HaveTheValuesThatAreGiven) {
  const rs::Options options = parse(kMine, {"mine", "--eager", "--every", "7", "--hold", "2us",
                                            "--label=a b", "--rank", "3"})
                                  ->options();
  const ModeOptions mine(options);
  EXPECT_TRUE(mine.flag("eager"));
  EXPECT_EQ(mine.number("every"), 7U);
  EXPECT_EQ(mine.duration_ns("hold"), 2000U);
  EXPECT_EQ(mine.text("label"), "a b");
  EXPECT_EQ(mine.number("rank"), 3U);
}

TEST(ModeOptions, HaveTheirDefaultsWhereNothingIsGiven) {
  const rs::Options options = parse(kMine, {"mine", "--rank", "0"})->options();
  const ModeOptions mine(options);
  EXPECT_FALSE(mine.flag("eager"));
  EXPECT_EQ(mine.number("every"), 10U);
  EXPECT_EQ(mine.duration_ns("hold"), 1'000'000U);
  EXPECT_EQ(mine.text("label"), "");
  EXPECT_THROW(parse(kMine, {"mine"}), rust::Error) << "--rank has none";
  EXPECT_THROW(parse(kMine, {"mine", "--rank", "0", "--every", "101"}), rust::Error);
}

TEST(ModeOptions, AreOnlyWhatTheyWereRegisteredAs) {
  const rs::Options options = parse(kMine, {"mine", "--rank", "0"})->options();
  const ModeOptions mine(options);
  EXPECT_EQ(refusal([&] { mine.number("ever"); }),
            "mine: asks for --ever as a number, and has registered no option of that name");
  EXPECT_EQ(refusal([&] { mine.number("hold"); }),
            "mine: asks for --hold as a number, and has registered it as a duration");
  EXPECT_EQ(refusal([&] { mine.duration_ns("every"); }),
            "mine: asks for --every as a duration, and has registered it as a number");
  EXPECT_EQ(refusal([&] { mine.flag("label"); }),
            "mine: asks for --label as a flag, and has registered it as a text");
  EXPECT_EQ(refusal([&] { mine.text("eager"); }),
            "mine: asks for --eager as a text, and has registered it as a flag");
}

TEST(ModeOptions, AreRefusedWhereTheProgramHasOneOfThatName) {
  Mode mode = kMine;
  mode.options.push_back({.name = "duration", .kind = rs::OptionKind::Flag});
  try {
    parse(mode, {"mine", "--rank", "0"});
    ADD_FAILURE() << "it is taken";
  } catch (const rust::Error& error) {
    EXPECT_STREQ(error.what(),
                 "mode mine, option --duration: the program already has an option of that name; "
                 "choose another");
  }
}

TEST(ModeCounts, KeepToWhatThereIs) {
  ModeCounts counts;
  for (std::size_t i = 0; i <= ModeCounts::kMost; ++i) {
    counts[i] = 1;
  }
  counts[ModeCounts::kMost + 1] += 1;
  counts[SIZE_MAX] += 1;
  const auto& all = static_cast<const rs::ModeCounts&>(counts).values;
  EXPECT_EQ(all.back(), 3U) << "all that cannot be are counted together";
  EXPECT_EQ(std::accumulate(all.begin(), all.end(), 0U), ModeCounts::kMost + 3);
}

}  // namespace
}  // namespace dpdkproj
