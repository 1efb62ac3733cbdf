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

/// An option of a mode's own. Its value is to be had from Dataplane::mode_options().
struct ModeOption {
  /// As on the command line, without the dashes. None of the program's own options, or of this
  /// mode's, may have the same.
  std::string_view name;
  rs::OptionKind kind;
  /// What the help calls its value. A flag has none.
  std::string_view value_name = {};
  /// One line for the help.
  std::string_view help = {};
  /// Its value where it is not given, as on the command line; none: it must be given. A flag has
  /// none.
  std::optional<std::string_view> default_value = {};
  /// What a number, or a duration in ns, must lie in.
  uint64_t min = 0;
  uint64_t max = UINT64_MAX;
};

/// A counter of a mode's own: in CSV, JSON, the summary and the ledger.
struct ModeCounter {
  /// As it is called in all of them: lower case, words joined by underscores.
  std::string_view name;
  /// One line for the help.
  std::string_view help;
  /// What the ledger makes of the packets that it counts. A mode that counts has notes alone, one
  /// that measures or returns has no counters of its own.
  rs::LedgerPlace place;
};

/// What the mode's own counters counted in one poll.
class ModeCounts {
 public:
  /// The most counters that a mode can register.
  static constexpr std::size_t kMost = std::tuple_size_v<decltype(rs::ModeCounts::values)> - 1;

  /// That of Mode::counters with this index. To count with an index that no counter has breaks the
  /// ledger, and corrupts nothing.
  uint32_t& operator[](std::size_t counter) noexcept {
    return counts_.values[std::min(counter, kMost)];
  }

  /// For rs::Tally::add.
  operator const rs::ModeCounts&() const noexcept { return counts_; }

 private:
  rs::ModeCounts counts_{};
};

/// What the program can be asked to do. A mode is one file in cpp/modes/ that ends with a
/// RegisterMode; nothing else names it.
struct Mode {
  /// As on the command line.
  std::string_view name;
  /// One line for the help.
  std::string_view about;
  /// What its packets mean: its options, its workers, its columns and the ledger follow from that.
  rs::Meaning meaning;
  /// The queues that it needs, and which packets it sends on them.
  rs::Queues queues;
  /// Whether it makes no sense to start before the link is up.
  bool needs_link;
  /// Makes the workers and runs them: `dataplane.run_workers(...)`.
  void (*run)(Dataplane& dataplane);
  /// Options of its own, in the order of the help.
  std::vector<ModeOption> options = {};
  /// Counters of its own, ModeCounts::kMost at most. A worker counts with them by their index.
  std::vector<ModeCounter> counters = {};
};

/// The same for Rust.
rs::Mode to_rust(const Mode& mode);

/// All registered modes, by name.
std::vector<Mode> all_modes();

/// Makes a mode known; for an object with static storage duration.
class RegisterMode {
 public:
  explicit RegisterMode(const Mode& mode);
};

}  // namespace dpdkproj
