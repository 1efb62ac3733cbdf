#include <rte_atomic.h>
#include <rte_cycles.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench.hpp"
#include "dpdk/clock.hpp"
#include "dpdkproj_rs/ffi.h"
#include "path.hpp"
#include "rust/cxx.h"

namespace dpdkproj {

namespace {

constexpr uint16_t kBurst = 32;
constexpr rs::MacAddress kMac{{2, 0, 0, 0, 0, 1}};

/// The cost of two consecutive readings of the TSC.
uint64_t overhead_cycles() noexcept {
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t start = rte_rdtsc();
    least = std::min(least, rte_rdtsc() - start);
  }
  return least;
}

/// The cost of one kind of call per packet. Each time slice gives one figure, so that slices in
/// which the thread was interrupted do not distort the median.
class Leg {
 public:
  void add(uint64_t start_tsc, std::size_t packets) noexcept {
    const uint64_t cycles = rte_rdtsc() - start_tsc;
    cycles_ += cycles - std::min(cycles, overhead_);
    packets_ += packets;
  }

  void end_slice() {
    if (packets_ > 0) {
      slices_.push_back(static_cast<double>(cycles_) / static_cast<double>(packets_));
    }
    cycles_ = 0;
    packets_ = 0;
  }

  std::string json(double ns_per_tick) {
    std::ranges::sort(slices_);
    std::array<char, 128> text{};
    if (slices_.empty()) {
      return "null";
    }
    std::snprintf(text.data(), text.size(), R"({"median": %.2f, "min": %.2f, "max": %.2f})",
                  slices_[slices_.size() / 2] * ns_per_tick, slices_.front() * ns_per_tick,
                  slices_.back() * ns_per_tick);
    return text.data();
  }

 private:
  uint64_t overhead_ = overhead_cycles();
  uint64_t cycles_ = 0;
  std::size_t packets_ = 0;
  std::vector<double> slices_;
};

struct Legs {
  Leg send;
  Leg reflect;
  Leg receive;

  void end_slice() {
    send.end_slice();
    reflect.end_slice();
    receive.end_slice();
  }
};

/// Bursts of frames in plain memory, used in turn.
class Buffers {
 public:
  Buffers() : lines_(kBursts * kBurst * kLinesApart) {}

  /// Calls `each` with the index of every buffer and a frame that spans it.
  template <typename F>
  void for_each(F each) {
    for (std::size_t i = 0; i < kBursts * kBurst; ++i) {
      rs::Frame frame{lines_[i * kLinesApart].bytes.data(), kRoom, 0, 0, rs::Verdict::Send};
      each(i, frame);
    }
  }

  /// The next burst, with frames of `frame_len` bytes.
  rust::Slice<rs::Frame> next(uint16_t frame_len) noexcept {
    turn_ = (turn_ + 1) % kBursts;
    for (std::size_t i = 0; i < kBurst; ++i) {
      frames_[i].data = lines_[(turn_ * kBurst + i) * kLinesApart].bytes.data();
      frames_[i].len = frame_len;
      frames_[i].rest = 0;
      frames_[i].verdict = rs::Verdict::Send;
    }
    return {frames_.data(), kBurst};
  }

 private:
  struct alignas(64) Line {
    std::array<uint8_t, 64> bytes;
  };
  /// Like the mbufs of a mempool: 2 KiB of data plus the structure in front of it. (With a stride
  /// of exactly 2 KiB, the headers of a whole burst would fall into two sets of the L1 cache.)
  static constexpr uint16_t kRoom = 2048;
  static constexpr std::size_t kLinesApart = (kRoom + 320) / sizeof(Line);
  /// About as many frames as circulate in the cache of a mempool.
  static constexpr std::size_t kBursts = 8;

  std::vector<Line> lines_;
  std::array<rs::Frame, kBurst> frames_{};
  std::size_t turn_ = 0;
};

rust::Box<rs::Config> parse(const std::vector<std::string>& args) {
  rust::Vec<rs::Mode> modes;
  modes.push_back({"sendrecv", "", rs::Meaning::Measures, rs::Queues::Own, {}, {}});
  modes.push_back({"reflect", "", rs::Meaning::Returns, rs::Queues::Paired, {}, {}});
  rust::Vec<rust::String> copies;
  for (const std::string& arg : args) {
    copies.push_back(arg);
  }
  return rs::parse_args({}, std::move(copies), std::move(modes));
}

/// A session with its first run started.
rust::Box<rs::Session> begun(const rs::Config& config) {
  rust::Box<rs::Session> session = rs::open_session(config, {});
  session->next({&kMac, 1}, false);
  return session;
}

rs::End end_after(uint64_t delivered, uint64_t accepted) {
  rs::PortEnd port{};
  port.delivered = delivered;
  port.accepted = accepted;
  rs::End end{};
  end.ports.push_back(std::move(port));
  return end;
}

/// sendrecv and reflect, connected by a copy: each burst is built, turned around and verified on
/// the same thread. A copy, as a real path makes one: the sender's buffers still hold its packets
/// when they are used again.
class Chain {
 public:
  explicit Chain(const Clock& clock)
      : clock_(clock.restarted()),
        config_(parse({"reflect", "-q"})),
        reflecting_(begun(*config_)),
        reflector_(rs::new_reflector(*reflecting_, 0, false)) {}

  /// Executes the current run of `session`, for `duration_ns` unless it ends by itself, with a
  /// burst every `gap_ns`. `at_once` packets of a burst share a send time. `path` lies between
  /// reflector and receiver.
  void go(rs::Session& session, uint16_t frame_len, uint64_t duration_ns, uint64_t gap_ns,
          uint16_t at_once, Path path, Legs& legs) {
    at_once_ = at_once;
    path_ = std::move(path);
    constexpr uint64_t kTickNs = 1'000'000;
    constexpr uint64_t kTicksPerSlice = 10;
    const Clock clock = clock_.restarted();
    rust::Box<rs::Sender> sender = rs::new_sender(session, 0, {});
    rust::Box<rs::Receiver> receiver = rs::new_receiver(session, 0, false);
    sending_.for_each([&](std::size_t index, rs::Frame& room) { sender->prepare(index, room); });
    sent_ = 0;
    returned_ = 0;
    uint64_t next_burst_ns = 0;
    uint64_t next_tick_ns = 0;
    uint64_t ticks = 0;
    bool stopping = false;
    for (;;) {
      const uint64_t now_ns = clock.now_ns();
      if (now_ns >= next_tick_ns) {
        next_tick_ns = now_ns + kTickNs;
        const rs::Phase phase =
            session.tick(now_ns, {.stop_requested = now_ns >= duration_ns}).phase;
        reflecting_->tick(clock_.now_ns(), {});
        converse(session, now_ns);
        if (++ticks % kTicksPerSlice == 0) {
          legs.end_slice();
        }
        if (phase == rs::Phase::Over) {
          return;
        }
        if (phase == rs::Phase::Drain && !std::exchange(stopping, true)) {
          sender->stop(now_ns);
        }
      }
      if (now_ns >= next_burst_ns) {
        next_burst_ns += gap_ns;
        exchange(*sender, *receiver, clock, frame_len, legs);
      }
    }
  }

  void finish(rs::Session& session) const {
    const rs::Finished finished = session.finish(end_after(returned_, sent_));
    if (finished.limits_broken || !finished.problem.empty()) {
      throw std::runtime_error("not every packet came back valid: " +
                               std::string(finished.problem));
    }
  }

  void finish_reflector() {
    reflecting_->tick(clock_.now_ns(), {.stop_requested = true});
    const rs::Finished finished = reflecting_->finish(end_after(reflector_got_, reflector_sent_));
    if (!finished.problem.empty()) {
      throw std::runtime_error("the reflector: " + std::string(finished.problem));
    }
  }

  uint64_t sent() const noexcept { return sent_; }

 private:
  /// Exchanges questions and answers of the slow path.
  void converse(rs::Session& session, uint64_t now_ns) {
    std::array<uint8_t, 2048> bytes;
    const auto room = [&bytes] {
      return rs::Frame{bytes.data(), bytes.size(), 0, 0, rs::Verdict::Slow};
    };
    for (rs::Frame frame = room(); session.send_slow(0, frame); frame = room()) {
      reflecting_->receive_slow(clock_.now_ns(), 0, frame);
    }
    for (rs::Frame frame = room(); reflecting_->send_slow(0, frame); frame = room()) {
      session.receive_slow(now_ns, 0, frame);
    }
  }

  void exchange(rs::Sender& sender, rs::Receiver& receiver, const Clock& clock, uint16_t frame_len,
                Legs& legs) {
    rust::Slice<rs::Frame> frames = sending_.next(frame_len);
    uint64_t now_ns = clock.now_ns();
    uint64_t start = rte_rdtsc();
    std::size_t built = 0;
    uint16_t packets = at_once_;
    while (packets == at_once_ && built < kBurst) {
      packets = sender.build(now_ns, now_ns, {frames.data() + built, at_once_}).packets;
      if (packets > 0) {
        sender.sent(now_ns, packets);
      }
      built += packets;
      if (built < kBurst) {
        now_ns = clock.now_ns();
      }
    }
    // If fewer were built than requested, they are the last ones.
    const std::size_t first = built < at_once_ ? at_once_ - built : 0;
    frames = {frames.data() + first, built};
    legs.send.add(start, frames.size());
    sent_ += frames.size();
    reflector_got_ += frames.size();
    frames = copied(frames, frame_len);

    now_ns = clock_.now_ns();
    start = rte_rdtsc();
    const rs::BurstResult outcome = reflector_->reflect(now_ns, frames, 0);
    if (outcome.wants_stamps) {
      reflector_->stamp(now_ns, {&now_ns, 1}, 0, false, frames);
    }
    std::size_t kept = frames.size();
    // As a worker does: most bursts have no drops.
    if (outcome.drops) [[unlikely]] {
      kept = 0;
      for (const rs::Frame& frame : frames) {
        if (frame.verdict == rs::Verdict::Drop) {
          continue;
        }
        frames[kept++] = frame;
      }
    }
    frames = {frames.data(), kept};
    if (!frames.empty()) {
      reflector_->sent(0, static_cast<uint16_t>(kept), false, {frames.data(), kept});
    }
    legs.reflect.add(start, frames.size());
    reflector_sent_ += frames.size();
    if (path_.holds_packets()) {
      frames = past_the_path(frames, frame_len);
      // The path copies from all over its memory: complete that before receiving is measured.
      rte_mb();
    }

    now_ns = clock.now_ns();
    start = rte_rdtsc();
    receiver.receive(now_ns, frames, 0);
    legs.receive.add(start, frames.size());
    returned_ += frames.size();
  }

  rust::Slice<rs::Frame> copied(rust::Slice<rs::Frame> from, uint16_t frame_len) noexcept {
    const rust::Slice<rs::Frame> to = arriving_.next(frame_len);
    for (std::size_t i = 0; i < from.size(); ++i) {
      std::memcpy(to[i].data, from[i].data, frame_len);
    }
    return {to.data(), from.size()};
  }

  /// Pushes the frames of a burst into the path, and returns those that come out. An empty burst
  /// flushes the path.
  rust::Slice<rs::Frame> past_the_path(rust::Slice<rs::Frame> from, uint16_t frame_len) {
    const bool flush = from.empty();
    for (const rs::Frame& frame : from) {
      path_.push(frame.data, frame.len);
    }
    const rust::Slice<rs::Frame> to = leaving_.next(frame_len);
    std::size_t size = 0;
    while (size < to.size() && path_.pop(to[size].data, flush) > 0) {
      ++size;
    }
    return {to.data(), size};
  }

  /// The clock of the reflector; each run has its own.
  Clock clock_;
  rust::Box<rs::Config> config_;
  rust::Box<rs::Session> reflecting_;
  rust::Box<rs::Reflector> reflector_;
  Buffers sending_;
  Buffers arriving_;
  Buffers leaving_;
  Path path_{Order::kKept, 0};
  /// Packets that are sent at the same time.
  uint16_t at_once_ = kBurst;
  /// Packets of the current run, and of the reflector in all runs.
  uint64_t sent_ = 0;
  uint64_t returned_ = 0;
  uint64_t reflector_got_ = 0;
  uint64_t reflector_sent_ = 0;
};

struct Variant {
  const char* name;
  std::vector<std::string> options;
  /// Minimum payload size.
  uint16_t least_bytes;
  /// Time between bursts, matching the rate in `options`.
  uint64_t gap_ns;
  Order order = Order::kKept;
  /// Packets that the path holds.
  uint64_t depth = 0;
  /// Packets that are sent at the same time.
  uint16_t at_once = kBurst;
  /// Packets are IPv6.
  bool ipv6 = false;
  /// Measured with the smallest payload only.
  bool smallest_only = false;
};

void measure(const Clock& clock, const Variant& variant, uint16_t payload, double seconds,
             double ns_per_tick, const char* separator) {
  constexpr double kNsPerSecond = 1e9;
  std::vector<std::string> args = {"sendrecv",
                                   "--src",
                                   variant.ipv6 ? "fd00::1" : "10.0.0.1",
                                   "--dest",
                                   variant.ipv6 ? "[fd00::2]:10000" : "10.0.0.2:10000",
                                   "--dest-mac",
                                   "02:00:00:00:00:02",
                                   "--seed",
                                   "5",
                                   "--packet-size",
                                   std::to_string(payload),
                                   "--max-loss",
                                   "0",
                                   "--stats-interval-ms",
                                   "10",
                                   "-q"};
  args.insert(args.end(), variant.options.begin(), variant.options.end());
  const rust::Box<rs::Config> config = parse(args);
  rust::Box<rs::Session> session = rs::open_session(*config, {});
  Chain chain(clock);
  rs::Next next = session->next({&kMac, 1}, false);
  while (next.stage == rs::Stage::Preliminary) {
    // The reflector only stamps packets of flows that have asked it.
    Legs ignored;
    chain.go(*session, next.frame_len, UINT64_MAX, 0, kBurst, {Order::kKept, 0}, ignored);
    next = session->next({&kMac, 1}, false);
  }
  Legs legs;
  chain.go(*session, next.frame_len, static_cast<uint64_t>(seconds * kNsPerSecond), variant.gap_ns,
           variant.at_once, {variant.order, variant.depth}, legs);
  chain.finish(*session);
  chain.finish_reflector();
  std::printf(
      "%s{\"variant\": \"%s\", \"payload\": %u, \"packets\": %llu,\n"
      "  \"send_ns\": %s,\n  \"reflect_ns\": %s,\n  \"receive_ns\": %s}",
      separator, variant.name, static_cast<unsigned>(payload),
      static_cast<unsigned long long>(chain.sent()), legs.send.json(ns_per_tick).c_str(),
      legs.reflect.json(ns_per_tick).c_str(), legs.receive.json(ns_per_tick).c_str());
}

/// A variant with other headers; `options` are those that make them.
Variant headers(const char* name, std::vector<std::string> options, uint16_t payload, bool ipv6) {
  options.emplace_back("--no-peer-report");
  Variant variant{name, std::move(options), payload, 0};
  variant.ipv6 = ipv6;
  variant.smallest_only = true;
  return variant;
}

/// A variant with a path that holds `depth` packets. Their payload does not matter.
Variant held(const char* name, Order order, uint64_t depth, uint16_t at_once = kBurst) {
  Variant variant{name, {"--no-peer-report"}, 16, 0, order, depth, at_once};
  variant.smallest_only = true;
  return variant;
}

}  // namespace

void bench_bridge(double seconds, std::string_view only) {
  constexpr std::array<uint16_t, 4> kPayloads = {16, 256, 1000, 1400};
  constexpr double kFixedPoint = 4294967296.0;
  // The rate is low enough for all three legs on one thread: the pacer is always in time, with a
  // full burst. The gap of 195.3125 ns makes a burst last whole ns, while due times are rounded.
  const std::vector<Variant> variants = {
      {"plain", {"--no-peer-report"}, 16, 0},
      {"stamp", {"--reflector-seq"}, 34, 0},
      // The cost of headers other than those of untagged IPv4. Payloads of 18 bytes have another
      // format than those of 16.
      headers("plain 18", {}, 18, false),
      headers("vlan", {"--vlan", "5"}, 16, false),
      headers("qinq", {"--vlan", "10,5"}, 16, false),
      headers("ipv6", {}, 16, true),
      headers("ipv6 18", {}, 18, true),
      headers("ipv6 qinq", {"--vlan", "10,5"}, 16, true),
      {"paced", {"--no-peer-report", "--rate", "5.12m"}, 16, 1'000'000'000ULL * kBurst / 5'120'000},
      // The cost of reordering, compared with a path that holds packets and keeps their order
      // (held).
      held("held", Order::kKept, 1000),
      held("held, own times", Order::kKept, 1000, 1),
      held("swapped", Order::kSwapped, 1000),
      held("two paths", Order::kTwoPaths, 1000),
      held("shuffled 64", Order::kRandom, 64),
      held("shuffled 1000", Order::kRandom, 1000),
  };
  const ClockReading started = ClockReading::take();
  const Clock clock(started);
  const double ns_per_tick =
      static_cast<double>(ns_per_cycle(started, ClockReading::take())) / kFixedPoint;
  std::printf(R"({"burst": %u, "results": [)", static_cast<unsigned>(kBurst));
  const char* separator = "\n ";
  for (const Variant& variant : variants) {
    for (const uint16_t payload : kPayloads) {
      if (!only.empty() && only != variant.name) {
        continue;
      }
      if (variant.smallest_only && payload != kPayloads.front()) {
        continue;  // the payload does not matter here
      }
      measure(clock, variant, std::max(payload, variant.least_bytes), seconds, ns_per_tick,
              separator);
      separator = ",\n ";
    }
  }
  std::puts("]}");
}

}  // namespace dpdkproj
