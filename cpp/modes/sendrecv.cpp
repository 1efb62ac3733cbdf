// sendrecv: sends UDP packets at an exact rate, receives them back, and verifies every byte.

#include <cstdio>
#include <utility>

#include "dataplane/dataplane.hpp"
#include "dataplane/frames.hpp"
#include "dataplane/mode.hpp"
#include "dpdk/tx_schedule.hpp"

namespace dpdkproj {
namespace {

/// Sends on one tx queue.
class Send final {
 public:
  Send(Port& port, uint16_t queue, rust::Box<rs::Sender> sender, const Clock& clock,
       const rs::Options& options, const rs::Next& next, const StopRequest& stop,
       SlowPath::Outlet outlet)
      : queue_(port.tx_queue(queue)),
        pool_(port.tx_pool(queue)),
        sender_(std::move(sender)),
        clock_(clock),
        offload_flags_(offload_flags(port.offloads(), options.ipv6)),
        header_lens_(rte_mbuf_tx_offload(options.l2_len - inserted_len(port), options.l3_len, 0, 0,
                                         0, 0, 0)),
        vlan_tci_(options.vlan_tci),
        outlet_(outlet),
        max_burst_(next.tx_mode == rs::TxMode::Burst ? options.tx_burst : 1),
        frame_len_(static_cast<uint16_t>(next.frame_len - inserted_len(port))),
        // With launch times, the time of the tx call says nothing about when packets leave.
        checks_pacing_(next.paced && next.tx_mode != rs::TxMode::Hardware),
        spin_(next.tx_mode == rs::TxMode::Spin),
        several_sizes_(next.several_sizes) {
    if (next.tx_mode == rs::TxMode::Hardware) {
      schedule_.emplace(port.id(), clock, stop);
    }
  }

  /// Call it before anything is sent from the pool.
  void prepare_buffers() {
    for_each_mbuf(pool_, [this](unsigned index, rte_mbuf* mbuf) {
      const auto room = static_cast<uint16_t>(mbuf->buf_len - RTE_PKTMBUF_HEADROOM);
      rs::Frame frame{static_cast<uint8_t*>(mbuf->buf_addr) + RTE_PKTMBUF_HEADROOM, room, 0, 0,
                      rs::Verdict::Drop};
      sender_->prepare(index, frame);
    });
  }

  void poll(uint64_t now_ns) noexcept {
    if (outlet_.is_waiting()) [[unlikely]] {
      outlet_.send(queue_);
    }
    if (burst_.size < max_burst_) {
      top_up();
    }
    if (spin_) {
      const uint64_t until_ns = sender_->wait_until(now_ns);
      while (now_ns < until_ns) {
        now_ns = clock_.now_ns();
      }
    }
    uint64_t due_by_ns = now_ns;
    if (schedule_) {
      schedule_->follow(now_ns);
      due_by_ns += TxSchedule::kLeadNs;
    }
    const rs::Built built = sender_->build(now_ns, due_by_ns, frames_);
    if (built.packets == 0) {
      return;
    }
    const auto first = static_cast<uint16_t>(burst_.size - built.packets);
    if (several_sizes_) {
      cut_mbufs(first);
    }
    // The packet leaves when it is due, or at once if that time has passed.
    if (schedule_ && built.leaves_ns > now_ns) {
      schedule_->set(*burst_.mbufs[first], built.leaves_ns);
    }
    // The departure time, for the pacing self-check.
    const uint64_t at_ns = checks_pacing_ ? clock_.now_ns() : 0;
    const uint16_t accepted = queue_.offer(burst_, first);
    burst_.free_from(static_cast<uint16_t>(first + accepted));
    burst_.size = first;
    sender_->sent(at_ns, accepted);
  }

  void drain(uint64_t now_ns) noexcept {
    // Packets are handed to such a port kLeadNs early.
    sender_->stop(now_ns + (schedule_ ? TxSchedule::kLeadNs : 0));
    max_burst_ = 0;
    burst_.free_from(0);
    frames_ = {};
  }

 private:
  /// Bytes that the port inserts into each frame.
  static uint16_t inserted_len(const Port& port) noexcept {
    return port.offloads().vlan ? RTE_VLAN_HLEN : 0;
  }

  /// The mbuf flags that request what the port does; 0: nothing.
  static uint64_t offload_flags(const TxOffloads& offloads, bool ipv6) noexcept {
    const uint64_t vlan = offloads.vlan ? RTE_MBUF_F_TX_VLAN : 0;
    if (ipv6) {
      return vlan | (offloads.udp ? RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV6 : 0);
    }
    const uint64_t checksums =
        (offloads.ipv4 ? RTE_MBUF_F_TX_IP_CKSUM : 0) | (offloads.udp ? RTE_MBUF_F_TX_UDP_CKSUM : 0);
    return vlan | (checksums == 0 ? 0 : checksums | RTE_MBUF_F_TX_IPV4);
  }

  /// Fills up the ready buffers to a full burst, if the pool has enough.
  void top_up() noexcept {
    const uint16_t first = burst_.size;
    if (burst_.add(pool_, static_cast<uint16_t>(max_burst_ - first), frame_len_) &&
        offload_flags_ != 0) {
      request_offloads(first);
    }
    frames_ = ready_.of_allocated(burst_, first, frame_len_).writable();
  }

  /// Gives the mbufs from `first` on the lengths of the packets built in them.
  void cut_mbufs(uint16_t first) noexcept {
    for (uint16_t i = first; i < burst_.size; ++i) {
      const uint16_t len = ready_[i].len;
      burst_.mbufs[i]->data_len = len;
      burst_.mbufs[i]->pkt_len = len;
    }
  }

  void request_offloads(uint16_t first) noexcept {
    for (uint16_t i = first; i < burst_.size; ++i) {
      rte_mbuf* mbuf = burst_.mbufs[i];
      mbuf->ol_flags |= offload_flags_;
      mbuf->tx_offload = header_lens_;
      mbuf->vlan_tci = vlan_tci_;
    }
  }

  /// Buffers that are ready to use; packets are built in the last of them.
  Burst burst_;
  TxQueue& queue_;
  rte_mempool* pool_;
  rust::Box<rs::Sender> sender_;
  const Clock& clock_;
  uint64_t offload_flags_;
  uint64_t header_lens_;
  uint16_t vlan_tci_;
  /// The frames that describe `burst_`.
  rust::Slice<rs::Frame> frames_;
  SlowPath::Outlet outlet_;
  /// Present only if the port does the pacing.
  std::optional<TxSchedule> schedule_;
  Frames ready_;
  uint16_t max_burst_;
  uint16_t frame_len_;
  bool checks_pacing_;
  bool spin_;
  bool several_sizes_;
};

/// Receives on one rx queue.
class Receive final {
 public:
  Receive(RxQueue& queue, rust::Box<rs::Receiver> receiver, const Clock& clock,
          SlowPath::Inlet inlet)
      : queue_(queue), receiver_(std::move(receiver)), clock_(clock), inlet_(inlet) {}

  void poll(uint64_t now_ns) noexcept {
    queue_.receive(burst_);
    // The arrival time, taken as early as possible.
    const uint64_t arrived_ns = burst_.size == 0 ? now_ns : clock_.now_ns();
    if (receiver_->receive(arrived_ns, frames_.of(burst_).writable(), queue_.backlog()))
        [[unlikely]] {
      frames_.drop_all(burst_, [this](rte_mbuf* mbuf) { inlet_.take(mbuf); });
    } else {
      burst_.free_from(0);
    }
  }

 private:
  RxQueue& queue_;
  rust::Box<rs::Receiver> receiver_;
  const Clock& clock_;
  SlowPath::Inlet inlet_;
  Frames frames_;
  Burst burst_;
};

/// Reports which checksums the port cannot compute. IPv6 headers have none.
void report_software_checksums(const Port& port, bool ipv6) {
  TxOffloads by_port = port.offloads();
  by_port.ipv4 = ipv6 ? by_port.udp : by_port.ipv4;
  if (by_port.ipv4 && by_port.udp) {
    return;
  }
  const bool both = !by_port.ipv4 && !by_port.udp;
  const char* which = by_port.udp ? "no IPv4 checksum" : "no UDP checksum";
  std::fprintf(stderr, "dpdkproj: port %u (%s) computes %s: %s computed in software\n", port.id(),
               port.driver(), both ? "no checksums" : which, both ? "they are" : "it is");
}

void run(Dataplane& dataplane) {
  rs::Session& session = dataplane.session();
  const rs::Options& options = dataplane.options();
  const rs::Next& next = dataplane.next();
  static bool said = false;
  if (options.offloads.udp && !std::exchange(said, true)) {
    for (const ServedPort& served : dataplane.ports()) {
      report_software_checksums(served.port, options.ipv6);
    }
  }
  std::vector<Send> senders;
  for (const QueueOfRun& queue : dataplane.tx_queues()) {
    Port& port = queue.port();
    const TxOffloads by_port = port.offloads();
    senders.emplace_back(
        port, queue.queue,
        rs::new_sender(session, queue.number, {by_port.ipv4, by_port.udp, by_port.vlan}),
        dataplane.clock(), options, next, dataplane.stop(),
        queue.queue == 0 ? queue.slow_path().outlet(port.tx_pool(0), next.frame_len)
                         : SlowPath::Outlet());
    if (next.prepares) {
      senders.back().prepare_buffers();
    }
  }
  std::vector<Receive> receivers;
  for (const QueueOfRun& queue : dataplane.rx_queues()) {
    const bool partial = queue.port().may_deliver_partial_checksums();
    receivers.emplace_back(queue.rx(), rs::new_receiver(session, queue.number, partial),
                           dataplane.clock(), queue.slow_path().inlet(queue.queue));
  }
  dataplane.run_workers(std::move(senders), std::move(receivers));
}

const RegisterMode kMode({.name = "sendrecv",
                          .about = "Send packets, get them back, and verify every byte",
                          .meaning = rs::Meaning::Measures,
                          .queues = rs::Queues::Own,
                          .needs_link = true,
                          .run = run});

}  // namespace
}  // namespace dpdkproj
