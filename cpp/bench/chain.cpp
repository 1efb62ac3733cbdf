#include "chain.hpp"

#include <rte_atomic.h>
#include <rte_cycles.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace dpdkproj {

namespace {

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

}  // namespace

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

Chain::Chain(const Clock& clock)
    : clock_(clock.restarted()),
      config_(parse({"reflect", "-q"})),
      reflecting_(begun(*config_)),
      reflector_(rs::new_reflector(*reflecting_, 0, false)) {}

void Chain::go(rs::Session& session, uint16_t frame_len, uint64_t duration_ns, uint64_t gap_ns,
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
      const rs::Phase phase = session.tick(now_ns, {.stop_requested = now_ns >= duration_ns}).phase;
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

void Chain::finish(rs::Session& session) const {
  const rs::Finished finished = session.finish(end_after(returned_, sent_));
  if (finished.limits_broken || !finished.problem.empty()) {
    throw std::runtime_error("not every packet came back valid: " + std::string(finished.problem));
  }
}

void Chain::finish_reflector() {
  reflecting_->tick(clock_.now_ns(), {.stop_requested = true});
  const rs::Finished finished = reflecting_->finish(end_after(reflector_got_, reflector_sent_));
  if (!finished.problem.empty()) {
    throw std::runtime_error("the reflector: " + std::string(finished.problem));
  }
}

void Chain::converse(rs::Session& session, uint64_t now_ns) {
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

void Chain::exchange(rs::Sender& sender, rs::Receiver& receiver, const Clock& clock,
                     uint16_t frame_len, Legs& legs) {
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

rust::Slice<rs::Frame> Chain::copied(rust::Slice<rs::Frame> from, uint16_t frame_len) noexcept {
  const rust::Slice<rs::Frame> to = arriving_.next(frame_len);
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::memcpy(to[i].data, from[i].data, frame_len);
  }
  return {to.data(), from.size()};
}

rust::Slice<rs::Frame> Chain::past_the_path(rust::Slice<rs::Frame> from, uint16_t frame_len) {
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

}  // namespace dpdkproj
