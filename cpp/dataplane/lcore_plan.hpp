#pragma once

#include <cstddef>
#include <vector>

namespace dpdkproj {

/// Assigns workers to lcores: `plan[worker]` is an index into the list of lcores.
///
/// If there are enough lcores, each worker gets its own; otherwise workers are assigned round
/// robin, so that the numbers of workers per lcore differ by at most one. `lcores` must be at least
/// 1.
std::vector<std::size_t> plan_lcores(std::size_t workers, std::size_t lcores);

}  // namespace dpdkproj
