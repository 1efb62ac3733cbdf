#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace dpdkproj {

/// All lcores that EAL was given, the main one first.
std::vector<unsigned> all_lcores();

/// Says on stderr when workers have to share lcores, or lcores have no worker; once.
void warn_about_lcores(std::size_t workers, std::size_t lcores);

/// Runs `work[i]` on the i-th of `lcores` (as all_lcores() gives them) and returns once all have
/// returned. The main lcore is the calling thread.
void run_on_lcores(const std::vector<unsigned>& lcores,
                   const std::vector<std::function<void()>>& work);

}  // namespace dpdkproj
