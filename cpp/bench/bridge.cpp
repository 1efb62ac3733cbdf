#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench.hpp"
#include "chain.hpp"
#include "dpdk/clock.hpp"
#include "dpdkproj_rs/ffi.h"
#include "legs.hpp"
#include "path.hpp"
#include "rust/cxx.h"

namespace dpdkproj {

namespace {

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
