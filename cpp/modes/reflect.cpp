// reflect: sends every UDP packet back to where it came from.

#include "dataplane/dataplane.hpp"
#include "dataplane/frames.hpp"
#include "dataplane/mode.hpp"

namespace dpdkproj {
namespace {

/// One rx queue and the tx queue with the same number.
class Reflect final {
 public:
  Reflect(RxQueue& rx, TxQueue& tx, rust::Box<rs::Reflector> reflector, bool partial_checksums)
      : rx_(rx), tx_(tx), reflector_(std::move(reflector)), frames_(partial_checksums) {}

  void poll(uint64_t now_ns) noexcept {
    rx_.receive(burst_);
    reflector_->reflect(now_ns, frames_.of(burst_));
    if (burst_.size == 0) {
      return;
    }
    frames_.drop_unwanted(burst_);
    const uint16_t wanted = burst_.size;
    const uint16_t accepted = tx_.send(burst_);
    reflector_->sent(accepted, wanted - accepted);
  }

 private:
  RxQueue& rx_;
  TxQueue& tx_;
  rust::Box<rs::Reflector> reflector_;
  Frames frames_;
  Burst burst_;
};

void run(Dataplane& dataplane) {
  Port& port = dataplane.port();
  std::vector<Reflect> workers;
  for (uint16_t queue = 0; queue < dataplane.options().rx_queues; ++queue) {
    workers.emplace_back(port.rx_queue(queue), port.tx_queue(queue),
                         rs::new_reflector(dataplane.run(), queue),
                         port.may_deliver_partial_checksums());
  }
  dataplane.run_workers(std::move(workers));
}

const RegisterMode kMode({"reflect", "Send every UDP packet back to where it came from", false,
                          run});

}  // namespace
}  // namespace dpdkproj
