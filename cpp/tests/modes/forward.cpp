// Third-party modes for the end-to-end tests; each forwards packets in a different way.

#include "dataplane/dataplane.hpp"
#include "dataplane/mode.hpp"

namespace dpdkproj {
namespace {

/// Forwards all packets of one rx queue.
class Forward final {
 public:
  Forward(RxQueue& rx, TxQueue& tx, rust::Box<rs::Tally> tally)
      : rx_(rx), tx_(tx), tally_(std::move(tally)) {}

  void poll(uint64_t now_ns) noexcept {
    rx_.receive(burst_);
    const uint16_t received = burst_.size;
    const uint16_t sent = tx_.send(burst_);
    tally_->add(
        now_ns,
        {.received = received, .sent = sent, .refused = static_cast<uint16_t>(received - sent)},
        {});
  }

 private:
  RxQueue& rx_;
  TxQueue& tx_;
  rust::Box<rs::Tally> tally_;
  Burst burst_;
};

/// Forwards every third packet and drops the others. With `kTells`, it counts the drops.
template <bool kTells>
class Thin final {
 public:
  Thin(RxQueue& rx, TxQueue& tx, rust::Box<rs::Tally> tally)
      : rx_(rx), tx_(tx), tally_(std::move(tally)) {}

  void poll(uint64_t now_ns) noexcept {
    rx_.receive(burst_);
    const uint16_t received = burst_.size;
    const uint16_t freed =
        burst_.free_if([this](const rte_mbuf& /*packet*/) { return ++seen_ % 3 != 0; });
    const uint16_t kept = burst_.size;
    const uint16_t sent = tx_.send(burst_);
    const uint16_t dropped = kTells ? freed : 0;
    tally_->add(now_ns,
                {.received = received,
                 .sent = sent,
                 .refused = static_cast<uint16_t>(kept - sent),
                 .dropped = dropped},
                {});
  }

 private:
  RxQueue& rx_;
  TxQueue& tx_;
  rust::Box<rs::Tally> tally_;
  uint64_t seen_ = 0;
  Burst burst_;
};

/// Forwards packets of rx queue `i` of all ports to tx queue `i + kShift`, modulo their number.
template <typename W, uint16_t kShift>
void run(Dataplane& dataplane) {
  const std::vector<QueueOfRun> queues = dataplane.rx_queues();
  std::vector<W> workers;
  for (const QueueOfRun& queue : queues) {
    const QueueOfRun& to = queues[(queue.number + kShift) % queues.size()];
    workers.emplace_back(queue.rx(), to.tx(), rs::new_tally(dataplane.session(), queue.number));
  }
  dataplane.run_workers(std::move(workers));
}

/// Makes a reflector in a mode that is not registered as returning packets.
void run_undeclared(Dataplane& dataplane) { rs::new_reflector(dataplane.session(), 0, false); }

/// Drops all packets, and counts half of them with its own counter; with `kStray`, counts all of
/// them with a counter that is not registered.
template <bool kStray>
class Misstate final {
 public:
  Misstate(RxQueue& rx, TxQueue& /*tx*/, rust::Box<rs::Tally> tally)
      : rx_(rx), tally_(std::move(tally)) {}

  void poll(uint64_t now_ns) noexcept {
    rx_.receive(burst_);
    ModeCounts counts;
    counts[kStray ? 7 : 0] = kStray ? burst_.size : burst_.size / 2U;
    const rs::Polled polled{.received = burst_.size, .dropped = kStray ? burst_.size : uint16_t{0}};
    tally_->add(now_ns, polled, counts);
    burst_.free_from(0);
  }

 private:
  RxQueue& rx_;
  rust::Box<rs::Tally> tally_;
  Burst burst_;
};

/// Requests an option as the wrong kind.
void run_mistaken(Dataplane& dataplane) { dataplane.mode_options().duration_ns("many"); }

/// Makes two workers for the same counters.
void run_twice(Dataplane& dataplane) {
  const rust::Box<rs::Tally> first = rs::new_tally(dataplane.session(), 0);
  const rust::Box<rs::Tally> second = rs::new_tally(dataplane.session(), 0);
}

using rs::Meaning;
using rs::Queues;

const RegisterMode kModes[] = {
    RegisterMode({"pass", "To the tx queue with the same number", Meaning::Forwards, Queues::Paired,
                  false, run<Forward, 0>}),
    RegisterMode({"cross", "To the tx queue with the next number", Meaning::Forwards, Queues::Mixed,
                  false, run<Forward, 1>}),
    RegisterMode({"thin", "Drop two of three, and say so", Meaning::Forwards, Queues::Paired, false,
                  run<Thin<true>, 0>}),
    RegisterMode({"leak", "Drop two of three in silence", Meaning::Forwards, Queues::Paired, false,
                  run<Thin<false>, 0>}),
    RegisterMode({"census", "The same, where nothing else was promised", Meaning::Counts,
                  Queues::Paired, false, run<Thin<false>, 0>}),
    RegisterMode({"undeclared", "A reflector, but not registered as one", Meaning::Counts,
                  Queues::Paired, false, run_undeclared}),
    RegisterMode({"understate",
                  "Drop all, and count half of it",
                  Meaning::Forwards,
                  Queues::Paired,
                  false,
                  run<Misstate<false>, 0>,
                  {},
                  {{"gone", "Packets that were dropped", rs::LedgerPlace::Dropped}}}),
    RegisterMode({"stray",
                  "Drop all, and count with an unknown counter",
                  Meaning::Forwards,
                  Queues::Paired,
                  false,
                  run<Misstate<true>, 0>,
                  {},
                  {{"gone", "Packets that were dropped", rs::LedgerPlace::Dropped}}}),
    RegisterMode({"mistaken",
                  "Ask for an option as something else",
                  Meaning::Counts,
                  Queues::RxOnly,
                  false,
                  run_mistaken,
                  {{.name = "many", .kind = rs::OptionKind::Number, .default_value = "1"}}}),
    RegisterMode(
        {"twice", "Two workers for one place", Meaning::Counts, Queues::RxOnly, false, run_twice}),
};

}  // namespace
}  // namespace dpdkproj
