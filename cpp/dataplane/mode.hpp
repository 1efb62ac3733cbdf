#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

class Dataplane;

/// An option that a mode registers. Dataplane::mode_options() has its value.
struct ModeOption {
  /// The name on the command line, without the dashes. It must differ from all options of the
  /// program and of this mode.
  std::string_view name;
  rs::OptionKind kind;
  /// The placeholder for the value in the help. Empty for a flag.
  std::string_view value_name = {};
  /// One line for the help.
  std::string_view help = {};
  /// The default value, as on the command line. Without one, the option is required. A flag has
  /// none.
  std::optional<std::string_view> default_value = {};
  /// The range of a number, or of a duration in ns.
  uint64_t min = 0;
  uint64_t max = UINT64_MAX;
};

/// A counter that a mode registers; it appears in CSV, JSON, summary and ledger.
struct ModeCounter {
  /// Its name in all of them: lower case, words joined by underscores.
  std::string_view name;
  /// One line for the help.
  std::string_view help;
  /// The place of the counted packets in the ledger. A mode that counts can only use notes; a mode
  /// that measures or returns has no counters of its own.
  rs::LedgerPlace place;
};

/// The values of the mode's own counters for one poll.
class ModeCounts {
 public:
  /// The maximum number of counters of a mode.
  static constexpr std::size_t kMost = std::tuple_size_v<decltype(rs::ModeCounts::values)> - 1;

  /// The value of the counter with this index in Mode::counters. Counting with an index that is not
  /// registered breaks the ledger, but corrupts nothing.
  uint32_t& operator[](std::size_t counter) noexcept {
    return counts_.values[std::min(counter, kMost)];
  }

  /// For rs::Tally::add.
  operator const rs::ModeCounts&() const noexcept { return counts_; }

 private:
  rs::ModeCounts counts_{};
};

/// A mode of the program. A mode is one file in cpp/modes/ that ends with a RegisterMode; no other
/// code refers to it.
struct Mode {
  /// The name on the command line.
  std::string_view name;
  /// One line for the help.
  std::string_view about;
  /// What the mode does with packets. Its program options, workers, columns and ledger equations
  /// follow from this.
  rs::Meaning meaning;
  /// The queues that it needs, and the origin of the packets that it sends on them.
  rs::Queues queues;
  /// Whether the run must wait for the link.
  bool needs_link;
  /// Makes the workers and runs them: `dataplane.run_workers(...)`.
  void (*run)(Dataplane& dataplane);
  /// The mode's own options, in the order of the help.
  std::vector<ModeOption> options = {};
  /// The mode's own counters, at most ModeCounts::kMost. Workers address them by index.
  std::vector<ModeCounter> counters = {};
};

/// Converts `mode` for Rust.
rs::Mode to_rust(const Mode& mode);

/// All registered modes, sorted by name.
std::vector<Mode> all_modes();

/// Registers a mode. Use it for an object with static storage duration.
class RegisterMode {
 public:
  explicit RegisterMode(const Mode& mode);
};

}  // namespace dpdkproj
