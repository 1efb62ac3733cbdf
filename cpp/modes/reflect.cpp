// reflect: sends every UDP packet back to where it came from.

#include "dataplane/dataplane.hpp"
#include "dataplane/frames.hpp"
#include "dataplane/impair.hpp"
#include "dataplane/mode.hpp"

namespace dpdkproj {
namespace {

/// One rx queue and the tx queue with the same number.
class Reflect final {
 public:
  Reflect(RxQueue& rx, TxQueue& tx, rust::Box<rs::Reflector> reflector, const Clock& clock)
      : rx_(rx), tx_(tx), reflector_(std::move(reflector)), clock_(clock) {}

  void poll(uint64_t now_ns) noexcept {
    rx_.receive(burst_);
    const rust::Slice<rs::Frame> frames = frames_.of(burst_).writable();
    const rs::Outcome outcome = reflector_->reflect(now_ns, frames);
    if (burst_.size == 0) {
      return;
    }
    if (outcome.wants_stamps) [[unlikely]] {
      reflector_->stamp(clock_.now_ns(), {&now_ns, 1}, frames);
    }
    if (outcome.drops) [[unlikely]] {
      frames_.drop_unwanted(burst_);
    }
    const uint16_t accepted = tx_.send(burst_);
    reflector_->sent(accepted, frames_.readable());
  }

 private:
  RxQueue& rx_;
  TxQueue& tx_;
  rust::Box<rs::Reflector> reflector_;
  const Clock& clock_;
  Frames frames_;
  Burst burst_;
};

void run(Dataplane& dataplane) {
  Port& port = dataplane.port();
  const rs::Options& options = dataplane.options();
  std::vector<Reflect> workers;
  std::vector<ReflectImpaired> impaired;
  for (uint16_t queue = 0; queue < options.rx_queues; ++queue) {
    rust::Box<rs::Reflector> reflector =
        rs::new_reflector(dataplane.run(), queue, port.may_deliver_partial_checksums());
    if (options.impaired) {
      impaired.emplace_back(port.rx_queue(queue), port.tx_queue(queue), std::move(reflector),
                            dataplane.clock(), port.rx_pool(queue), options);
    } else {
      workers.emplace_back(port.rx_queue(queue), port.tx_queue(queue), std::move(reflector),
                           dataplane.clock());
    }
  }
  dataplane.run_workers(std::move(workers), std::move(impaired));
}

const RegisterMode kMode({"reflect", "Send every UDP packet back to where it came from", false,
                          run});

}  // namespace
}  // namespace dpdkproj
