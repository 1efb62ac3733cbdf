#include "dataplane/mode.hpp"

#include <algorithm>

namespace dpdkproj {

namespace {

// In a function, because modes register before main() in an order that nobody knows.
std::vector<Mode>& registry() {
  static std::vector<Mode> modes;
  return modes;
}

}  // namespace

RegisterMode::RegisterMode(const Mode& mode) { registry().push_back(mode); }

std::vector<Mode> all_modes() {
  std::vector<Mode> modes = registry();
  std::ranges::sort(modes, {}, &Mode::name);
  return modes;
}

}  // namespace dpdkproj
