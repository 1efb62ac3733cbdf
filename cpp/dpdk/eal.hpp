#pragma once

#include <string>
#include <vector>

namespace dpdkproj {

/// The Environment Abstraction Layer, from start to clean-up. Only one per process: DPDK cannot
/// initialise EAL twice.
class Eal {
 public:
  /// Starts EAL with `args`; the first is the program name. Throws if EAL does not start; EAL
  /// itself prints the reason on stderr. Its messages are kept (hints.hpp).
  explicit Eal(const std::vector<std::string>& args);
  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;
};

/// Prints EAL's own help on stdout, then `behind`, and exits with code 0.
[[noreturn]] void print_eal_help(const std::string& program, const char* behind);

}  // namespace dpdkproj
