#include "dpdk/hints.hpp"

#include <rte_log.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <mutex>

namespace dpdkproj {

namespace {

// The whole file, as a raw string literal (cpp/CMakeLists.txt).
constexpr std::string_view kTable =
#include "eal_errors.inc"
    ;

/// Removes the text up to the first `separator` from `text`, and returns it; all of it if there is
/// no separator.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return taken;
}

std::vector<KnownError> parse(std::string_view table) {
  std::vector<KnownError> rows;
  take(table, '\n');  // names of the columns
  while (!table.empty()) {
    std::string_view row = take(table, '\n');
    std::array<std::string_view, 5> cells;
    std::ranges::generate(cells, [&row] { return take(row, '\t'); });
    rows.push_back({cells[0], cells[1], cells[2], cells[3], cells[4]});
  }
  return rows;
}

bool matches(std::string_view line, std::string_view pattern) {
  while (!pattern.empty()) {
    const std::string_view part = take(pattern, '*');
    const std::size_t at = line.find(part);
    if (at == std::string_view::npos) {
      return false;
    }
    line.remove_prefix(at + part.size());
  }
  return true;
}

/// The rows for the lines of `log`, each cause once.
std::vector<const KnownError*> found_in(std::string_view log) {
  std::vector<const KnownError*> found;
  while (!log.empty()) {
    const KnownError* error = known_error(take(log, '\n'));
    const auto is_same = [error](const KnownError* other) { return other->cause == error->cause; };
    if (error != nullptr && std::ranges::none_of(found, is_same)) {
      found.push_back(error);
    }
  }
  return found;
}

std::vector<std::string> of_level(const std::vector<const KnownError*>& found,
                                  std::string_view level) {
  std::vector<std::string> texts;
  for (const KnownError* error : found) {
    if (error->level == level) {
      texts.push_back(std::string(error->cause) + ": " + name_commands(error->fix));
    }
  }
  return texts;
}

// The log of EAL belongs to the process, and so does this copy.
constexpr std::size_t kMostKept = 64 << 10;
std::mutex mutex;
std::string kept;
bool is_keeping;

ssize_t write_log(void* /*cookie*/, const char* text, std::size_t size) {
  std::fwrite(text, 1, size, stderr);
  const std::lock_guard lock(mutex);
  if (is_keeping) {
    kept.append(text, size);
    if (kept.size() > kMostKept) {
      kept.erase(0, kept.size() - kMostKept / 2);
    }
  }
  return static_cast<ssize_t>(size);
}

}  // namespace

const std::vector<KnownError>& known_errors() {
  static const std::vector<KnownError> rows = parse(kTable);
  return rows;
}

const KnownError* known_error(std::string_view line) {
  const auto fits = [line](const KnownError& error) { return matches(line, error.pattern); };
  const auto found = std::ranges::find_if(known_errors(), fits);
  return found == known_errors().end() ? nullptr : &*found;
}

bool is_installed() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  return std::filesystem::exists(program.parent_path() / "dpdkproj-doctor", error);
}

std::string name_commands(std::string_view text, bool are_installed) {
  constexpr std::string_view kFolder = "scripts/";
  std::string named(text);
  if (are_installed) {
    for (std::size_t at = 0; (at = named.find(kFolder, at)) != std::string::npos;) {
      named.replace(at, kFolder.size(), "dpdkproj-");
    }
  }
  return named;
}

std::vector<std::string> hints(std::string_view log) {
  const std::vector<const KnownError*> found = found_in(log);
  for (const std::string_view level : {"fault", "warning", "note"}) {
    if (std::vector<std::string> texts = of_level(found, level); !texts.empty()) {
      return texts;
    }
  }
  return {};
}

std::vector<std::string> warnings(std::string_view log) {
  return of_level(found_in(log), "warning");
}

void keep_log() {
  // Never closed: a thread of a driver may be about to write to it.
  static std::FILE* const stream = [] {
    std::FILE* opened = fopencookie(
        nullptr, "w", {.read = nullptr, .write = write_log, .seek = nullptr, .close = nullptr});
    if (opened != nullptr) {
      std::setvbuf(opened, nullptr, _IOLBF, BUFSIZ);
    }
    return opened;
  }();
  rte_openlog_stream(stream != nullptr ? stream : stderr);
  const std::lock_guard lock(mutex);
  is_keeping = true;
}

std::string kept_log() {
  const std::lock_guard lock(mutex);
  return kept;
}

void forget_log() {
  const std::lock_guard lock(mutex);
  is_keeping = false;
  kept = {};
}

}  // namespace dpdkproj
