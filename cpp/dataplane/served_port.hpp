#pragma once

#include <cstdint>
#include <deque>

#include "dataplane/slow_path.hpp"
#include "dpdk/port.hpp"

namespace dpdkproj {

/// A port of a run, with the slow path that serves it.
struct ServedPort {
  ServedPort(const PortInfo& info, const PortConfig& config, const StopRequest& stop = no_stop())
      : port(info, config, stop), slow_path(port) {}

  Port port;
  SlowPath slow_path;
};

/// The ports of a run, in the order of -p. Neither a port nor its slow path can be moved.
using ServedPorts = std::deque<ServedPort>;

/// One of the rx queues, or of the tx queues, of all ports of a run.
struct QueueOfRun {
  ServedPort& served;
  /// Its number on its port.
  uint16_t queue;
  /// Its number through all ports, by which Rust knows it.
  uint16_t number;

  Port& port() const noexcept { return served.port; }
  SlowPath& slow_path() const noexcept { return served.slow_path; }
  /// The rx queue, or the tx queue, of its port with this number.
  RxQueue& rx() const { return served.port.rx_queue(queue); }
  TxQueue& tx() const { return served.port.tx_queue(queue); }
};

}  // namespace dpdkproj
