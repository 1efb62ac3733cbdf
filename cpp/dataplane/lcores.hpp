#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace dpdkproj {

/// All lcores that EAL was given, the main one first.
std::vector<unsigned> all_lcores();

/// The CPUs that the threads of these lcores may run on, each once, in ascending order.
std::vector<uint32_t> cpus_of(const std::vector<unsigned>& lcores);

/// Says on stderr when workers have to share lcores, or lcores have no worker; once.
void warn_about_lcores(std::size_t workers, std::size_t lcores);

/// Runs `work[i]` on the i-th of `lcores` (as all_lcores() gives them) and returns once all have
/// returned. The main lcore is the calling thread.
void run_on_lcores(const std::vector<unsigned>& lcores,
                   const std::vector<std::function<void()>>& work);

}  // namespace dpdkproj
