// rxonly: counts received packets and drops them. The smallest mode; copy it to start another one
// (CONTRIBUTING.md explains how).

#include "dataplane/dataplane.hpp"
#include "dataplane/mode.hpp"

namespace dpdkproj {
namespace {

class RxOnly final {
 public:
  RxOnly(RxQueue& queue, rust::Box<rs::Tally> tally) : queue_(queue), tally_(std::move(tally)) {}

  void poll(uint64_t now_ns) noexcept {
    queue_.receive(burst_);
    tally_->add(now_ns, {.received = burst_.size, .backlog = queue_.backlog()}, {});
    burst_.free_from(0);
  }

 private:
  RxQueue& queue_;
  rust::Box<rs::Tally> tally_;
  Burst burst_;
};

void run(Dataplane& dataplane) {
  std::vector<RxOnly> workers;
  for (const QueueOfRun& queue : dataplane.rx_queues()) {
    workers.emplace_back(queue.rx(), rs::new_tally(dataplane.session(), queue.number));
  }
  dataplane.run_workers(std::move(workers));
}

const RegisterMode kMode({.name = "rxonly",
                          .about = "Count what arrives, and drop it",
                          .meaning = rs::Meaning::Counts,
                          .queues = rs::Queues::RxOnly,
                          .needs_link = false,
                          .run = run});

}  // namespace
}  // namespace dpdkproj
