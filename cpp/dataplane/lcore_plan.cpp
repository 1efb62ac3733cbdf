#include "dataplane/lcore_plan.hpp"

namespace dpdkproj {

std::vector<std::size_t> plan_lcores(std::size_t workers, std::size_t lcores) {
  std::vector<std::size_t> plan(workers);
  for (std::size_t worker = 0; worker < workers; ++worker) {
    plan[worker] = worker % lcores;
  }
  return plan;
}

}  // namespace dpdkproj
