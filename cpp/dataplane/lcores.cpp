#include "dataplane/lcores.hpp"

#include <rte_launch.h>
#include <rte_lcore.h>

#include <atomic>

#include "dpdk/error.hpp"

namespace dpdkproj {

std::vector<unsigned> all_lcores() {
  std::vector<unsigned> lcores{rte_get_main_lcore()};
  unsigned lcore = 0;
  RTE_LCORE_FOREACH_WORKER(lcore) { lcores.push_back(lcore); }
  return lcores;
}

namespace {

/// What a launched lcore is given.
struct Task {
  const std::function<void()>& work;
  std::atomic<int>& handovers;
};

}  // namespace

void run_on_lcores(const std::vector<unsigned>& lcores,
                   const std::vector<std::function<void()>>& work) {
  // EAL itself orders what is before a launch and after a return, but out of ThreadSanitizer's
  // sight: the counter does it once more.
  std::atomic<int> handovers = 0;
  std::vector<Task> tasks;
  tasks.reserve(work.size());
  for (std::size_t i = 1; i < work.size(); ++i) {
    const auto start = [](void* argument) {
      const Task& task = *static_cast<Task*>(argument);
      task.handovers.fetch_add(1);
      task.work();
      task.handovers.fetch_add(1);
      return 0;
    };
    handovers.fetch_add(1);
    check(rte_eal_remote_launch(start, &tasks.emplace_back(Task{work[i], handovers}), lcores[i]),
          "rte_eal_remote_launch");
  }
  work[0]();
  rte_eal_mp_wait_lcore();
  handovers.fetch_add(1);
}

}  // namespace dpdkproj
