#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dpdkproj {

/// A message of EAL or of a driver whose cause is known: a row of data/eal-errors.tsv, which
/// scripts/doctor reads as well.
struct KnownError {
  /// `fault`: DPDK does not start; `warning`: it starts, but figures suffer; `note`: may be
  /// harmless.
  std::string_view level;
  /// Part of the message; `*` stands for any text.
  std::string_view pattern;
  std::string_view cause;
  /// What to do about it.
  std::string_view fix;
  /// Such a message.
  std::string_view example;
};

/// All rows.
const std::vector<KnownError>& known_errors();

/// The row for a line of the log; nullptr if there is none.
const KnownError* known_error(std::string_view line);

/// Whether the program is installed, with the commands of scripts/ beside it as dpdkproj-NAME.
bool is_installed();

/// `text`, in which commands are called scripts/NAME, as users of the program call them.
std::string name_commands(std::string_view text, bool are_installed = is_installed());

/// What is known of the lines of `log` at the worst level that occurs in it, each as `CAUSE: FIX`.
std::vector<std::string> hints(std::string_view log);

/// What is known of the warnings in `log`, likewise.
std::vector<std::string> warnings(std::string_view log);

/// Sends messages of EAL and drivers to stderr, and keeps the last of them until forget_log().
void keep_log();

/// The messages that are kept.
std::string kept_log();

/// Keeps no more messages. They still go to stderr.
void forget_log();

}  // namespace dpdkproj
