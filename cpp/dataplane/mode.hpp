#pragma once

#include <string_view>
#include <vector>

#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

class Dataplane;

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
};

/// All registered modes, by name.
std::vector<Mode> all_modes();

/// Makes a mode known; for an object with static storage duration.
class RegisterMode {
 public:
  explicit RegisterMode(const Mode& mode);
};

}  // namespace dpdkproj
