// A mode of another project: drops every other packet, and sends the rest on as it came.

#include "dataplane/dataplane.hpp"
#include "dataplane/mode.hpp"

namespace {

using namespace dpdkproj;

class EveryOther final {
 public:
  EveryOther(RxQueue& rx, TxQueue& tx, rust::Box<rs::Tally> tally)
      : rx_(rx), tx_(tx), tally_(std::move(tally)) {}

  void poll(uint64_t now_ns) noexcept {
    rx_.receive(burst_);
    rs::Polled polled{.received = burst_.size};
    uint16_t kept = 0;
    for (uint16_t i = 0; i < burst_.size; ++i) {
      if (++seen_ % 2 == 0) {
        burst_.mbufs[kept++] = burst_.mbufs[i];
      } else {
        rte_pktmbuf_free(burst_.mbufs[i]);
      }
    }
    polled.dropped = static_cast<uint16_t>(burst_.size - kept);
    burst_.size = kept;
    polled.sent = tx_.send(burst_);
    polled.refused = static_cast<uint16_t>(kept - polled.sent);
    tally_->add(now_ns, polled);
  }

 private:
  RxQueue& rx_;
  TxQueue& tx_;
  rust::Box<rs::Tally> tally_;
  uint64_t seen_ = 0;
  Burst burst_;
};

void run(Dataplane& dataplane) {
  std::vector<EveryOther> workers;
  for (uint16_t queue = 0; queue < dataplane.options().rx_queues; ++queue) {
    workers.emplace_back(dataplane.port().rx_queue(queue), dataplane.port().tx_queue(queue),
                         rs::new_tally(dataplane.session(), queue));
  }
  dataplane.run_workers(std::move(workers));
}

const RegisterMode kMode({.name = "everyother",
                          .about = "Drop every other packet, and send the rest on",
                          .meaning = rs::Meaning::Forwards,
                          .queues = rs::Queues::Paired,
                          .needs_link = false,
                          .run = run});

}  // namespace
