#pragma once

#include <cstdint>
#include <utility>

#include "dataplane/frames.hpp"
#include "dataplane/slow_path.hpp"
#include "dpdk/burst.hpp"
#include "dpdk/clock.hpp"
#include "dpdk/queue.hpp"
#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// The worker of `reflect`, for one rx queue and the tx queue with the same number.
///
/// Packets that the driver does not accept wait, and nothing is received meanwhile (back-pressure).
/// A reflector that frees what it cannot send loses packets that the path would have carried, as
/// soon as the reader of its tx queue pauses for a moment. If packets arrive faster than they can
/// be sent, the rx queue overflows and the port counts the drops (over memif, the sender's tx queue
/// fills up).
class Reflect final {
 public:
  /// Timeout after which a waiting burst is freed if the driver accepts none of its packets. It is
  /// longer than a host usually deschedules a CPU, and finite in case the peer no longer empties
  /// the tx queue.
  static constexpr uint64_t kTimeoutNs = 100'000'000;

  Reflect(RxQueue& rx, TxQueue& tx, rust::Box<rs::Reflector> reflector, const Clock& clock,
          SlowPath::Inlet inlet, SlowPath::Outlet outlet)
      : rx_(rx),
        tx_(tx),
        reflector_(std::move(reflector)),
        clock_(clock),
        inlet_(inlet),
        outlet_(outlet) {}

  void poll(uint64_t now_ns) noexcept {
    if (taken_ < burst_.size) [[unlikely]] {
      offer_again(now_ns);
      return;
    }
    rx_.receive(burst_);
    const rust::Slice<rs::Frame> frames = frames_.of(burst_).writable();
    const rs::BurstResult outcome = reflector_->reflect(now_ns, frames, rx_.backlog());
    if (burst_.size > 0) {
      send_back(now_ns, frames, outcome);
    }
    if (outlet_.is_waiting()) [[unlikely]] {
      outlet_.send(tx_);
    }
  }

  /// Returns when no packet waits any more.
  void drain(uint64_t /*now_ns*/) noexcept {
    draining_ = true;
    wait_to_the_end();
  }

 private:
  void send_back(uint64_t now_ns, rust::Slice<rs::Frame> frames, rs::BurstResult outcome) noexcept {
    if (outcome.wants_stamps) [[unlikely]] {
      reflector_->stamp(clock_.now_ns(), {&now_ns, 1}, 0, false, frames);
    }
    if (outcome.drops) [[unlikely]] {
      frames_.drop_unwanted(burst_, [this](rte_mbuf* mbuf) { inlet_.take(mbuf); });
    }
    taken_ = tx_.offer(burst_, 0);
    reflector_->sent(0, taken_, false, frames_.readable());
    if (taken_ < burst_.size) [[unlikely]] {
      arrived_ns_ = now_ns;
      is_stamped_ = outcome.wants_stamps;
      give_up_ns_ = now_ns + kTimeoutNs;
      if (draining_) {
        wait_to_the_end();
      }
    }
  }

  void wait_to_the_end() noexcept {
    while (taken_ < burst_.size) {
      offer_again(clock_.now_ns());
    }
  }

  void offer_again(uint64_t now_ns) noexcept {
    reflector_->wait(now_ns);
    if (is_stamped_) {
      reflector_->stamp(now_ns, {&arrived_ns_, 1}, taken_, true, frames_.writable());
    }
    const uint16_t accepted = tx_.offer(burst_, taken_);
    if (accepted > 0) {
      reflector_->sent(taken_, accepted, true, frames_.readable());
      taken_ += accepted;
      give_up_ns_ = now_ns + kTimeoutNs;
    } else if (now_ns >= give_up_ns_) {
      reflector_->refused(taken_, frames_.readable());
      burst_.free_from(taken_);
    }
  }

  Burst burst_;
  Frames frames_;
  RxQueue& rx_;
  TxQueue& tx_;
  rust::Box<rs::Reflector> reflector_;
  const Clock& clock_;
  SlowPath::Inlet inlet_;
  SlowPath::Outlet outlet_;
  /// When the waiting packets arrived, and when they are given up.
  uint64_t arrived_ns_ = 0;
  uint64_t give_up_ns_ = 0;
  /// How many packets of the burst the driver has accepted. The others wait.
  uint16_t taken_ = 0;
  bool is_stamped_ = false;
  bool draining_ = false;
};

}  // namespace dpdkproj
