#include "dataplane/mode_options.hpp"

#include <algorithm>

#include "dpdk/error.hpp"

namespace dpdkproj {

namespace {

const char* name_of(rs::OptionKind kind) {
  switch (kind) {
    case rs::OptionKind::Flag:
      return "flag";
    case rs::OptionKind::Number:
      return "number";
    case rs::OptionKind::Duration:
      return "duration";
    case rs::OptionKind::Text:
      return "text";
  }
  return "kind that does not exist";
}

}  // namespace

const rs::OptionValue& ModeOptions::value(std::string_view name, rs::OptionKind kind) const {
  const auto is_it = [name](const rs::OptionValue& value) {
    return std::string_view(value.name.data(), value.name.size()) == name;
  };
  const auto found = std::ranges::find_if(options_.of_mode, is_it);
  if (found != options_.of_mode.end() && found->kind == kind) {
    return *found;
  }
  const std::string registered = found == options_.of_mode.end()
                                     ? "no option of that name"
                                     : std::string("it as a ") + name_of(found->kind);
  throw UsageError(std::string(options_.mode) + ": asks for --" + std::string(name) + " as a " +
                   name_of(kind) + ", and has registered " + registered);
}

bool ModeOptions::flag(std::string_view name) const {
  return value(name, rs::OptionKind::Flag).number != 0;
}

uint64_t ModeOptions::number(std::string_view name) const {
  return value(name, rs::OptionKind::Number).number;
}

uint64_t ModeOptions::duration_ns(std::string_view name) const {
  return value(name, rs::OptionKind::Duration).number;
}

std::string ModeOptions::text(std::string_view name) const {
  return std::string(value(name, rs::OptionKind::Text).text);
}

}  // namespace dpdkproj
