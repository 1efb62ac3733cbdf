#include "dataplane/mode.hpp"

#include <algorithm>
#include <utility>

namespace dpdkproj {

namespace {

// A function-local static, because modes register before main() in an unspecified order.
std::vector<Mode>& registry() {
  static std::vector<Mode> modes;
  return modes;
}

rust::String copy(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

rs::Mode to_rust(const Mode& mode) {
  rust::Vec<rs::ModeOption> options;
  for (const ModeOption& option : mode.options) {
    options.push_back({copy(option.name), option.kind, copy(option.value_name), copy(option.help),
                       option.default_value.has_value(), copy(option.default_value.value_or("")),
                       option.min, option.max});
  }
  rust::Vec<rs::ModeCounter> counters;
  for (const ModeCounter& counter : mode.counters) {
    counters.push_back({copy(counter.name), copy(counter.help), counter.place});
  }
  return {copy(mode.name), copy(mode.about),   mode.meaning,
          mode.queues,     std::move(options), std::move(counters)};
}

RegisterMode::RegisterMode(const Mode& mode) { registry().push_back(mode); }

std::vector<Mode> all_modes() {
  std::vector<Mode> modes = registry();
  std::ranges::sort(modes, {}, &Mode::name);
  return modes;
}

}  // namespace dpdkproj
