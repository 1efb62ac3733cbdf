// decimate: drops every N-th packet of each rx queue, and sends the others back. A mode with its
// own option and counter; copy it to start another one (CONTRIBUTING.md explains how).

#include "dataplane/dataplane.hpp"
#include "dataplane/frames.hpp"
#include "dataplane/mode.hpp"

namespace dpdkproj {
namespace {

enum Counter : std::size_t { kDecimated };  // in the order of Mode::counters

/// The worker of one rx queue and the tx queue with the same number.
class Decimate final {
 public:
  Decimate(const QueueOfRun& queue, rust::Box<rs::Tally> tally, uint64_t every)
      : rx_(queue.rx()),
        tx_(queue.tx()),
        tally_(std::move(tally)),
        partial_checksums_(queue.port().may_deliver_partial_checksums()),
        every_(every),
        left_(every) {}

  void poll(uint64_t now_ns) noexcept {
    rx_.receive(burst_);
    rs::Polled polled{.received = burst_.size, .backlog = rx_.backlog()};
    ModeCounts counts;
    counts[kDecimated] = burst_.free_if([this](const rte_mbuf& /*packet*/) { return is_nth(); });
    // Packets that are not UDP cannot be sent back, and are freed.
    polled.dropped = frames_.turn_round(burst_, partial_checksums_);
    const uint16_t offered = burst_.size;
    // Frees packets that the driver does not accept. None waits for a later poll, so no drain() is
    // needed.
    polled.sent = tx_.send(burst_);
    polled.refused = static_cast<uint16_t>(offered - polled.sent);
    tally_->add(now_ns, polled, counts);
  }

 private:
  bool is_nth() noexcept {
    left_ = left_ > 1 ? left_ - 1 : every_;
    return left_ == every_;
  }

  RxQueue& rx_;
  TxQueue& tx_;
  rust::Box<rs::Tally> tally_;
  bool partial_checksums_;
  uint64_t every_;
  uint64_t left_;
  Frames frames_;
  Burst burst_;
};

void run(Dataplane& dataplane) {
  const uint64_t every = dataplane.mode_options().number("every");
  std::vector<Decimate> workers;
  for (const QueueOfRun& queue : dataplane.rx_queues()) {
    workers.emplace_back(queue, rs::new_tally(dataplane.session(), queue.number), every);
  }
  dataplane.run_workers(std::move(workers));
}

const RegisterMode kMode({.name = "decimate",
                          .about = "Drop every N-th packet, and send the others back",
                          .meaning = rs::Meaning::Forwards,
                          .queues = rs::Queues::Paired,
                          .needs_link = false,
                          .run = run,
                          .options = {{.name = "every",
                                       .kind = rs::OptionKind::Number,
                                       .value_name = "N",
                                       .help = "Drop one of N packets",
                                       .default_value = "10",
                                       .min = 1}},
                          .counters = {
                              {"decimated", "every N-th, dropped", rs::LedgerPlace::Dropped}}});

}  // namespace
}  // namespace dpdkproj
