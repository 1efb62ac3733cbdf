#include "dataplane/lcores.hpp"

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_memory.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include "dpdk/error.hpp"

namespace dpdkproj {

std::vector<unsigned> all_lcores() {
  std::vector<unsigned> lcores{rte_get_main_lcore()};
  unsigned lcore = 0;
  RTE_LCORE_FOREACH_WORKER(lcore) { lcores.push_back(lcore); }
  return lcores;
}

std::vector<uint32_t> cpus_of(const std::vector<unsigned>& lcores) {
  std::vector<uint32_t> cpus;
  for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    const auto runs_here = [cpu](unsigned lcore) {
      const rte_cpuset_t set = rte_lcore_cpuset(lcore);
      return CPU_ISSET(cpu, &set);
    };
    if (std::ranges::any_of(lcores, runs_here)) {
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

void warn_about_lcores(std::size_t workers, std::size_t lcores) {
  static bool said = false;
  if (std::exchange(said, true)) {
    return;
  }
  if (lcores < workers) {
    std::fprintf(stderr, "dpdkproj: %zu workers share %zu lcore(s); EAL's -l gives more\n", workers,
                 lcores);
  } else if (lcores > workers) {
    std::fprintf(stderr,
                 "dpdkproj: %zu of %zu lcores have nothing to do; -r and -t give them work\n",
                 lcores - workers, lcores);
  }
}

void warn_about_nodes(uint16_t port_id, int node, const std::vector<unsigned>& lcores) {
  static bool said = false;
  std::string far;
  for (const unsigned lcore : lcores) {
    if (node != SOCKET_ID_ANY && rte_lcore_to_socket_id(lcore) != static_cast<unsigned>(node)) {
      far += (far.empty() ? "" : ", ") + std::to_string(lcore);
    }
  }
  if (!far.empty() && !std::exchange(said, true)) {
    std::fprintf(stderr,
                 "dpdkproj: port %u is on NUMA node %d, and lcore(s) %s are not: packets go the "
                 "long way; EAL's -l chooses lcores\n",
                 port_id, node, far.c_str());
  }
}

void run_on_lcores(const std::vector<unsigned>& lcores,
                   const std::vector<std::function<void()>>& work,
                   const std::function<void()>& give_up) {
  for (std::size_t i = 1; i < work.size(); ++i) {
    const auto start = [](void* argument) {
      (*static_cast<const std::function<void()>*>(argument))();
      return 0;
    };
    void* argument = const_cast<std::function<void()>*>(&work[i]);
    if (const int result = rte_eal_remote_launch(start, argument, lcores[i]); result != 0) {
      give_up();
      rte_eal_mp_wait_lcore();
      throw DpdkError("lcore " + std::to_string(lcores[i]) + " cannot be started", result);
    }
  }
  work[0]();
  rte_eal_mp_wait_lcore();
}

}  // namespace dpdkproj
