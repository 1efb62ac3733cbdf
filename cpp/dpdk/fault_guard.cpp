#include "dpdk/fault_guard.hpp"

#include <rte_ethdev.h>

#include <csetjmp>
#include <csignal>

namespace dpdkproj {

namespace {

/// Where the call that this thread is in continues after a fault; null outside of such calls.
thread_local sigjmp_buf* guard = nullptr;

void on_fault(int signal) {
  if (guard != nullptr) {
    siglongjmp(*guard, 1);
  }
  // When this returns, the access is repeated and ends the process.
  std::signal(signal, SIG_DFL);
}

/// Returns what `call` returns, or `otherwise` if it faults. No object with a destructor may live
/// in between: the frames of the driver are abandoned.
template <typename Call>
uint16_t guarded(Call call, uint16_t otherwise) noexcept {
  sigjmp_buf here;
  const volatile uint16_t after_fault = otherwise;  // siglongjmp does not restore registers
  // NOLINTNEXTLINE(cert-err52-cpp): an exception cannot leave a handler of signals
  if (sigsetjmp(here, 0) != 0) {
    guard = nullptr;
    return after_fault;
  }
  guard = &here;
  const uint16_t result = call();
  guard = nullptr;
  return result;
}

}  // namespace

void FaultGuard::install() noexcept {
  struct sigaction action = {};
  action.sa_handler = on_fault;
  // The handler does not return after a fault, which would leave the signal blocked.
  action.sa_flags = SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
}

uint16_t FaultGuard::rx_burst(uint16_t port_id, uint16_t queue_id, rte_mbuf** mbufs,
                              uint16_t count) noexcept {
  return guarded([=] { return rte_eth_rx_burst(port_id, queue_id, mbufs, count); }, 0);
}

uint16_t FaultGuard::tx_burst(uint16_t port_id, uint16_t queue_id, rte_mbuf** mbufs,
                              uint16_t count) noexcept {
  return guarded([=] { return rte_eth_tx_burst(port_id, queue_id, mbufs, count); }, count);
}

}  // namespace dpdkproj
