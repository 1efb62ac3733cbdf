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

/// Says on stderr which of `lcores` are not on NUMA node `node`, that of port `port_id`; once.
/// Where the node is not known (SOCKET_ID_ANY) there is nothing to say.
void warn_about_nodes(uint16_t port_id, int node, const std::vector<unsigned>& lcores);

/// Runs `work[i]` on the i-th of `lcores` (as all_lcores() gives them) and returns once all have
/// returned. The main lcore is the calling thread.
///
/// Where an lcore cannot be launched it calls `give_up`, which is to make all work return, waits
/// for those that it launched, and throws a DpdkError.
void run_on_lcores(const std::vector<unsigned>& lcores,
                   const std::vector<std::function<void()>>& work,
                   const std::function<void()>& give_up);

}  // namespace dpdkproj
