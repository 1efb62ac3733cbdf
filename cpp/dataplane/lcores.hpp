#pragma once

#include <functional>
#include <vector>

namespace dpdkproj {

/// All lcores that EAL was given, the main one first.
std::vector<unsigned> all_lcores();

/// Runs `work[i]` on the i-th of `lcores` (as all_lcores() gives them) and returns once all have
/// returned. The main lcore is the calling thread.
void run_on_lcores(const std::vector<unsigned>& lcores,
                   const std::vector<std::function<void()>>& work);

}  // namespace dpdkproj
