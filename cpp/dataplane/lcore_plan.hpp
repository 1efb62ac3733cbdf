#pragma once

#include <cstddef>
#include <vector>

namespace dpdkproj {

/// Which lcore runs which worker: `plan[worker]` is the place of its lcore among `lcores`.
///
/// Each worker gets an lcore of its own as long as there are enough; with fewer, workers are dealt
/// out in turn, so that no lcore has two more than another. `lcores` is 1 at least.
std::vector<std::size_t> plan_lcores(std::size_t workers, std::size_t lcores);

}  // namespace dpdkproj
