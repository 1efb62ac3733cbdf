#pragma once

#include <string>
#include <vector>

namespace dpdkproj {

/// The Environment Abstraction Layer, from start to clean-up. One per process: DPDK cannot start a
/// second one.
class Eal {
 public:
  /// Starts EAL with `args`, the first being the program's name. EAL says on stderr why when it
  /// does not start; the exception says that it did not.
  explicit Eal(const std::vector<std::string>& args);
  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;
};

/// Prints EAL's own help on stdout, then `behind`, and ends the process with code 0.
[[noreturn]] void print_eal_help(const std::string& program, const char* behind);

}  // namespace dpdkproj
