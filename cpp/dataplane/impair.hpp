#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <utility>
#include <vector>

#include "dataplane/frames.hpp"
#include "dataplane/reflect.hpp"
#include "dpdk/burst.hpp"
#include "dpdk/clock.hpp"
#include "dpdk/queue.hpp"
#include "dpdkproj_rs/ffi.h"

namespace dpdkproj {

/// A FIFO of fixed capacity.
template <typename T>
class Ring {
 public:
  explicit Ring(std::size_t capacity) : items_(capacity) {}
  bool empty() const noexcept { return size_ == 0; }
  bool full() const noexcept { return size_ == items_.size(); }
  T& front() noexcept { return items_[first_]; }
  /// Requires that it is not full.
  void push(const T& item) noexcept {
    assert(!full());
    items_[(first_ + size_) % items_.size()] = item;
    ++size_;
  }
  void pop() noexcept {
    first_ = (first_ + 1) % items_.size();
    --size_;
  }

 private:
  std::vector<T> items_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

/// The worker of `reflect --impair`, for one rx queue and the tx queue with the same number. Rust
/// decides what happens to each packet; this class holds packets back.
///
/// As in `Reflect`, packets that the driver does not accept wait, and nothing is received
/// meanwhile, so that only the requested impairment loses packets.
class ReflectImpaired final {
 public:
  /// The number of mbufs that it may hold if every packet is delayed by `delay_ns`: enough for 1
  /// Mpps, plus some for bursts. Packets beyond that count as lost by the reflector.
  static unsigned mbufs(uint64_t delay_ns) noexcept {
    constexpr uint64_t kNsPerPacket = 1000;
    constexpr uint64_t kMost = 1 << 16;
    return static_cast<unsigned>(std::min(delay_ns / kNsPerPacket + kLeast, kMost));
  }

  ReflectImpaired(RxQueue& rx, TxQueue& tx, rust::Box<rs::Reflector> reflector, const Clock& clock,
                  rte_mempool* pool, const rs::Options& options, SlowPath::Inlet inlet,
                  SlowPath::Outlet outlet)
      : rx_(rx),
        tx_(tx),
        reflector_(std::move(reflector)),
        clock_(clock),
        pool_(pool),
        inlet_(inlet),
        outlet_(outlet),
        delay_ns_(options.delay_ns),
        delayed_(mbufs(options.delay_ns) - kOvertaken),
        overtaken_(kOvertaken),
        depth_(options.reorder_depth),
        max_burst_(std::min<uint16_t>(options.tx_burst, kMaxBurst - 1)) {}

  void poll(uint64_t now_ns) noexcept {
    if (waiting_) [[unlikely]] {
      offer_again(now_ns);
    } else {
      receive(now_ns);
    }
    // At the end of the run nothing is held any more.
    release(now_ns, draining_);
    if (outlet_.is_waiting()) [[unlikely]] {
      outlet_.send(tx_);
    }
  }

  /// Sends everything that is held, and holds nothing from now on.
  void drain(uint64_t now_ns) noexcept {
    draining_ = true;
    drained_by_ns_ = now_ns + kDrainNs;
    while (waiting_) {
      offer_again(clock_.now_ns());
    }
    release(now_ns, true);
  }

 private:
  enum class Kind : uint8_t {
    kPlain,
    /// A copy of a packet that is sent, too.
    kCopy,
    /// Sent after later packets.
    kOvertaken,
  };

  struct Held {
    rte_mbuf* mbuf;
    uint64_t arrived_ns;
    rs::Verdict verdict;
    uint16_t flow;
    /// Only for a packet that others are to overtake: when its delay was over, and how many packets
    /// had passed by then.
    uint64_t passed_before;
    uint64_t since_ns;
  };

  static constexpr unsigned kLeast = 8192;
  /// Maximum number of held packets that wait to be overtaken.
  static constexpr unsigned kOvertaken = 4096;
  /// A packet that no other one overtakes for this long is sent anyway.
  static constexpr uint64_t kTimeoutNs = 5'000'000;
  /// Maximum time that the end of a run waits for the tx queue, however many packets are held.
  static constexpr uint64_t kDrainNs = 1'000'000'000;

  void receive(uint64_t now_ns) noexcept {
    rx_.receive(burst_);
    reflector_->reflect(now_ns, frames_.of(burst_).writable(), rx_.backlog());
    for (uint16_t i = 0; i < burst_.size; ++i) {
      take_in({burst_.mbufs[i], now_ns, frames_[i].verdict, frames_[i].flow, 0, 0});
    }
    burst_.size = 0;
  }

  /// Sends all packets that are due by now (or all that are held), as far as the driver accepts
  /// them.
  void release(uint64_t now_ns, bool all) noexcept {
    release_overtaken(now_ns, all);
    release_delayed(now_ns, all);
    flush(now_ns);
  }

  void take_in(const Held& held) noexcept {
    if (held.verdict == rs::Verdict::Drop) {
      rte_pktmbuf_free(held.mbuf);
    } else if (held.verdict == rs::Verdict::Slow) {
      inlet_.take(held.mbuf);
    } else if (delayed_.full()) {
      reflector_->note({held.flow, rs::Later::NoRoom});
      rte_pktmbuf_free(held.mbuf);
    } else {
      if (delay_ns_ > 0) {
        reflector_->note({held.flow, rs::Later::Held});
      }
      delayed_.push(held);
    }
  }

  /// Sends packets that enough others have overtaken, or that have waited for too long.
  void release_overtaken(uint64_t now_ns, bool all) noexcept {
    while (!overtaken_.empty() && has_room(now_ns)) {
      const Held& first = overtaken_.front();
      // Negative if the driver refused packets that were about to pass.
      const uint64_t overtakers = passed_ - std::min(passed_, first.passed_before);
      if (overtakers < depth_ && now_ns < first.since_ns + kTimeoutNs && !all) {
        return;
      }
      send(first, overtakers > 0 ? Kind::kOvertaken : Kind::kPlain);
      overtaken_.pop();
    }
  }

  /// Sends packets whose delay is over, or starts to wait until others overtake them.
  void release_delayed(uint64_t now_ns, bool all) noexcept {
    while (!delayed_.empty() && (all || delayed_.front().arrived_ns + delay_ns_ <= now_ns) &&
           has_room(now_ns)) {
      Held held = delayed_.front();
      delayed_.pop();
      if (held.verdict == rs::Verdict::Reorder && !all && !overtaken_.full()) {
        held.passed_before = passed_ + passing_;
        held.since_ns = now_ns;
        overtaken_.push(held);
        continue;
      }
      if (held.verdict == rs::Verdict::Reorder) {
        // No room to hold it back: it passes the held packets like any other.
        held.verdict = rs::Verdict::Send;
      }
      rte_mbuf* copy = held.verdict == rs::Verdict::Duplicate
                           ? rte_pktmbuf_copy(held.mbuf, pool_, 0, UINT32_MAX)
                           : nullptr;
      send(held);
      if (copy != nullptr) {
        Held again = held;
        again.mbuf = copy;
        send(again, Kind::kCopy);
      }
      if (!overtaken_.empty() && passed_ + passing_ >= overtaken_.front().passed_before + depth_) {
        flush(now_ns);
        release_overtaken(now_ns, all);
      }
    }
  }

  /// Whether a packet and its copy can be added to the next burst.
  bool has_room(uint64_t now_ns) noexcept {
    if (out_.size >= max_burst_) {
      flush(now_ns);
    }
    return !waiting_;
  }

  void send(const Held& held, Kind kind = Kind::kPlain) noexcept {
    const uint16_t i = out_.size++;
    out_.mbufs[i] = held.mbuf;
    flows_[i] = held.flow;
    arrived_ns_[i] = held.arrived_ns;
    // The sender sees a packet overtake others only if it counts as valid, and only a packet that
    // was not held itself is certain to be later than all held ones.
    passes_[i] = kind == Kind::kPlain &&
                 (held.verdict == rs::Verdict::Send || held.verdict == rs::Verdict::Duplicate);
    kinds_[i] = kind;
    passing_ += passes_[i] ? 1 : 0;
  }

  void flush(uint64_t now_ns) noexcept {
    if (out_.size == 0 || waiting_) {
      return;
    }
    const rust::Slice<rs::Frame> frames = out_frames_.of(out_).writable();
    for (uint16_t i = 0; i < out_.size; ++i) {
      frames[i].verdict = rs::Verdict::Send;
      frames[i].flow = flows_[i];
    }
    reflector_->stamp(clock_.now_ns(), {arrived_ns_.data(), out_.size}, 0, false, frames);
    taken_ = 0;
    give_up_ns_ = now_ns + Reflect::kTimeoutNs;
    settle(tx_.offer(out_, 0));
    while (waiting_ && draining_) {
      offer_again(clock_.now_ns());
    }
  }

  void offer_again(uint64_t now_ns) noexcept {
    reflector_->wait(now_ns);
    reflector_->stamp(now_ns, {arrived_ns_.data(), out_.size}, taken_, true,
                      out_frames_.writable());
    const uint16_t accepted = tx_.offer(out_, taken_);
    for (uint16_t i = taken_; i < taken_ + accepted; ++i) {
      reflector_->note({flows_[i], rs::Later::Waited});
    }
    if (accepted > 0) {
      give_up_ns_ = now_ns + Reflect::kTimeoutNs;
    }
    settle(accepted);
    if (waiting_ && (now_ns >= give_up_ns_ || (draining_ && now_ns >= drained_by_ns_))) {
      give_up();
    }
  }

  /// The driver has accepted `accepted` more.
  void settle(uint16_t accepted) noexcept {
    const uint16_t end = taken_ + accepted;
    for (; taken_ < end; ++taken_) {
      const bool is_copy = kinds_[taken_] == Kind::kCopy;
      reflector_->note({flows_[taken_], is_copy ? rs::Later::CopySent : rs::Later::Sent});
      if (kinds_[taken_] == Kind::kOvertaken) {
        reflector_->note({flows_[taken_], rs::Later::Overtaken});
      }
      passed_ += passes_[taken_] ? 1 : 0;
      passing_ -= passes_[taken_] ? 1 : 0;
    }
    waiting_ = taken_ < out_.size;
    if (!waiting_) {
      out_.size = 0;
    }
  }

  /// Frees what waits: the peer seems not to empty the tx queue any more.
  void give_up() noexcept {
    for (uint16_t i = taken_; i < out_.size; ++i) {
      if (kinds_[i] != Kind::kCopy) {
        reflector_->note({flows_[i], rs::Later::Refused});
      }
    }
    out_.free_from(taken_);
    out_.size = 0;
    passing_ = 0;
    waiting_ = false;
    if (draining_) {
      drained_by_ns_ = 0;
    }
  }

  Burst burst_;
  /// The next burst to send. Its flows, arrival times and kinds are below.
  Burst out_;
  RxQueue& rx_;
  TxQueue& tx_;
  rust::Box<rs::Reflector> reflector_;
  const Clock& clock_;
  rte_mempool* pool_;
  SlowPath::Inlet inlet_;
  SlowPath::Outlet outlet_;
  uint64_t delay_ns_;
  /// Packets that have passed the held ones, and packets in `out_` that will.
  uint64_t passed_ = 0;
  uint64_t passing_ = 0;
  /// When waiting packets are given up: normally, and at the end of the run.
  uint64_t give_up_ns_ = 0;
  uint64_t drained_by_ns_ = 0;
  Ring<Held> delayed_;
  Ring<Held> overtaken_;
  std::array<uint64_t, kMaxBurst> arrived_ns_{};
  Frames frames_;
  Frames out_frames_;
  uint16_t depth_;
  /// One below kMaxBurst at most, because a copy of the last packet may follow it.
  uint16_t max_burst_;
  /// How many packets of `out_` the driver has accepted.
  uint16_t taken_ = 0;
  /// The driver has not accepted all of `out_`; the rest is offered again before anything else.
  bool waiting_ = false;
  bool draining_ = false;
  std::array<uint16_t, kMaxBurst> flows_{};
  std::array<bool, kMaxBurst> passes_{};
  std::array<Kind, kMaxBurst> kinds_{};
};

}  // namespace dpdkproj
