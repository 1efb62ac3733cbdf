#pragma once

#include <string>
#include <vector>

namespace dpdkproj {

/// The Environment Abstraction Layer. Only one per process: DPDK cannot initialise EAL twice.
class Eal {
 public:
  /// Starts EAL with `args`; the first is the program name. Throws if EAL does not start; EAL
  /// itself prints the reason on stderr. Its messages are kept (hints.hpp).
  explicit Eal(const std::vector<std::string>& args);
  // Not rte_eal_cleanup(): it frees interrupt handles that EAL's own thread may be reading, which
  // killed processes of net_memif after they had written their results (rte_intr_fd_get, DPDK
  // 22.11). Ports are closed by then, and the kernel takes back the rest. What stays is a socket in
  // EAL's runtime directory, beside the files that EAL always leaves there.
  ~Eal() = default;
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;
};

/// Prints EAL's own help on stdout, then `behind`, and exits with code 0.
[[noreturn]] void print_eal_help(const std::string& program, const char* behind);

}  // namespace dpdkproj
