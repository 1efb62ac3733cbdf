#include "dataplane/slow_path.hpp"

#include <rte_errno.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include "dpdk/burst.hpp"
#include "dpdk/error.hpp"

namespace dpdkproj {

namespace {

rte_ring* make_ring(const std::string& name, int node) {
  rte_ring* ring = rte_ring_create(name.c_str(), SlowPath::kWaiting, node,
                                   RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
  if (ring == nullptr) {
    throw DpdkError("ring " + name, rte_errno, "give EAL more memory");
  }
  return ring;
}

}  // namespace

SlowPath::SlowPath(const Port& port) {
  const std::string prefix = "port" + std::to_string(port.id()) + "_slow";
  const MempoolDemand demand{
      .descriptors = kWaiting, .burst = 1, .packet_len = port.longest_frame()};
  pool_ = make_mempool(prefix, demand, port.numa_node());
  to_worker_.reset(make_ring(prefix + "_tx", port.numa_node()));
  for (uint16_t queue = 0; queue < port.rx_queues(); ++queue) {
    to_control_.emplace_back(make_ring(prefix + "_rx" + std::to_string(queue), port.numa_node()));
  }
}

SlowPath::~SlowPath() {
  clear(*to_worker_);
  for (const Ring& ring : to_control_) {
    clear(*ring);
  }
}

void SlowPath::clear(rte_ring& ring) noexcept {
  void* mbuf = nullptr;
  while (rte_ring_sc_dequeue(&ring, &mbuf) == 0) {
    rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
  }
}

void SlowPath::Outlet::send(TxQueue& queue) noexcept {
  void* waiting = nullptr;
  while (rte_ring_sc_dequeue(ring_, &waiting) == 0) {
    auto* frame = static_cast<rte_mbuf*>(waiting);
    Burst burst;
    if (burst.allocate(pool_, 1, frame->data_len)) {
      rte_mbuf* copy = burst.mbufs[0];
      // The copy gets a headroom of its own: drivers write there (net_virtio its header, and VLAN
      // tags).
      const auto behind = static_cast<uint16_t>(RTE_PKTMBUF_HEADROOM +
                                                RTE_ALIGN_CEIL(prepared_, RTE_CACHE_LINE_SIZE) +
                                                RTE_PKTMBUF_HEADROOM);
      if (behind + frame->data_len <= copy->buf_len) {
        copy->data_off = behind;
        std::memcpy(rte_pktmbuf_mtod(copy, void*), rte_pktmbuf_mtod(frame, void*), frame->data_len);
        *sent_ += queue.send(burst);
      } else {
        burst.free_from(0);
      }
    }
    rte_pktmbuf_free(frame);
  }
}

void SlowPath::serve(rs::Session& session, uint16_t port, uint64_t now_ns) {
  void* waiting = nullptr;
  for (const Ring& ring : to_control_) {
    while (rte_ring_sc_dequeue(ring.get(), &waiting) == 0) {
      auto* mbuf = static_cast<rte_mbuf*>(waiting);
      session.receive_slow(
          now_ns, port,
          {rte_pktmbuf_mtod(mbuf, uint8_t*), mbuf->data_len, 0, 0, rs::Verdict::Slow});
      rte_pktmbuf_free(mbuf);
    }
  }
  while (rte_ring_full(to_worker_.get()) == 0) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_.get());
    if (mbuf == nullptr) {
      return;
    }
    rs::Frame frame{rte_pktmbuf_mtod(mbuf, uint8_t*), rte_pktmbuf_tailroom(mbuf), 0, 0,
                    rs::Verdict::Slow};
    if (!session.send_slow(port, frame)) {
      rte_pktmbuf_free(mbuf);
      return;
    }
    mbuf->data_len = frame.len;
    mbuf->pkt_len = frame.len;
    rte_ring_sp_enqueue(to_worker_.get(), mbuf);
  }
}

}  // namespace dpdkproj
