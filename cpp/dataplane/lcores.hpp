#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace dpdkproj {

/// All lcores of EAL, the main lcore first.
std::vector<unsigned> all_lcores();

/// The CPUs on which the threads of these lcores may run, without duplicates, in ascending order.
std::vector<uint32_t> cpus_of(const std::vector<unsigned>& lcores);

/// Warns on stderr, once, if workers have to share lcores or lcores have no worker.
void warn_about_lcores(std::size_t workers, std::size_t lcores);

/// Warns on stderr, once, which of `lcores` are not on NUMA node `node`, the one of port `port_id`.
/// Says nothing if the node is unknown (SOCKET_ID_ANY).
void warn_about_nodes(uint16_t port_id, int node, const std::vector<unsigned>& lcores);

/// Runs `work[i]` on the i-th of `lcores` (in the order of all_lcores()) and returns when all have
/// returned. The calling thread is the main lcore.
///
/// If an lcore cannot be launched, calls `give_up`, which must make all work return, waits for the
/// lcores that were launched, and throws a DpdkError.
void run_on_lcores(const std::vector<unsigned>& lcores,
                   const std::vector<std::function<void()>>& work,
                   const std::function<void()>& give_up);

}  // namespace dpdkproj
