// Several runs in one process, one after the other.

#include <gtest/gtest.h>
#include <malloc.h>
#include <rte_eth_ring.h>
#include <rte_ring.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "dataplane/dataplane.hpp"
#include "dataplane/frames.hpp"
#include "dataplane/mode.hpp"
#include "dpdk/find_port.hpp"
#include "tests/virtual_port.hpp"

namespace dpdkproj {
namespace {

/// A port with a peer that sends everything back.
class Echo {
 public:
  Echo() {
    rte_ring* there = ring("echo_there");
    rte_ring* back = ring("echo_back");
    rte_eth_from_rings("echo", &back, 1, &there, 1, 0);
    thread_ = std::jthread([there, back](const std::stop_token& stop) {
      Burst burst;
      Frames frames;
      while (!stop.stop_requested()) {
        burst.size = static_cast<uint16_t>(rte_ring_sc_dequeue_burst(
            there, reinterpret_cast<void**>(burst.mbufs.data()), 32, nullptr));
        frames.turn_round(burst, false);
        const unsigned taken = rte_ring_sp_enqueue_burst(
            back, reinterpret_cast<void**>(burst.mbufs.data()), burst.size, nullptr);
        burst.free_from(static_cast<uint16_t>(taken));
        if (burst.size == 0) {
          std::this_thread::yield();
        }
      }
    });
  }

 private:
  static rte_ring* ring(const char* name) {
    return rte_ring_create(name, 1024, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
  }

  std::jthread thread_;
};

unsigned threads() {
  return static_cast<unsigned>(std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                                             std::filesystem::directory_iterator()));
}

/// Bytes that the process holds of its allocator. Unlike resident memory this does not depend on
/// when the allocator returns pages, or on how many of them a trial happens to touch.
uint64_t allocated_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// A number below a million as the summary prints it.
std::string grouped(uint64_t value) {
  std::string text = std::to_string(value);
  if (text.size() > 3) {
    text.insert(text.size() - 3, ",");
  }
  return text;
}

TEST(Trials, LeaveThreadsMbufsAndMemoryAsTheyWereAfterTheFirst) {
  constexpr unsigned kTrials = 200;
  constexpr uint64_t kDurationNs = 200'000'000;
  constexpr std::array<uint64_t, 3> kRates = {1'000, 20'000, 7'777};
  constexpr std::array<uint16_t, 3> kSizes = {16, 1000, 64};
  const Echo echo;
  rust::Vec<rust::String> args;
  for (const char* word :
       {"sendrecv", "--src", "10.0.0.1", "--dest", "10.0.0.2:7", "--dest-mac", "02:00:00:00:00:02",
        "--rate", "1000", "--duration", "0.2", "--no-peer-report", "--catch-up", "1000000", "-q"}) {
    args.push_back(word);
  }
  rust::Vec<rs::Mode> infos;
  infos.push_back({"sendrecv", "", rs::Meaning::Measures, rs::Queues::Own, {}, {}});
  const rust::Box<rs::Config> config = rs::parse_args({}, std::move(args), std::move(infos));
  const rs::Options options = config->options();
  rust::Box<rs::Session> session = rs::open_session(*config, {});
  const PortInfo info = find_port("");
  session->check_port(
      {info.max_rx_queues, info.max_tx_queues, info.mtu, info.min_mtu, info.max_mtu});
  EXPECT_THROW(session->add_trial(
                   {.packets = 1, .period_ns = 1, .duration_ns = 1, .payload_len = UINT16_MAX}),
               rust::Error)
      << "larger than the MTU";
  ServedPorts ports;
  Port& port = ports.emplace_back(info, small_port(1)).port;
  const StopSignals signals;
  Affinity affinity;
  const Clock clock(ClockReading::take());
  const std::vector<Mode> modes = all_modes();
  const auto mode = std::ranges::find(modes, std::string_view("sendrecv"), &Mode::name);
  ASSERT_NE(mode, modes.end());
  unsigned threads_after_first = 0;
  uint64_t bytes_after_ten = 0;
  const unsigned idle = rte_mempool_avail_count(port.tx_pool(0));
  for (unsigned trial = 0; trial < kTrials; ++trial) {
    const rs::Next next = session->next(one_mac(), false);
    ASSERT_EQ(next.stage, rs::Stage::Measurement) << trial;
    const uint64_t rate = trial == 0 ? 1'000 : kRates.at(trial % kRates.size());
    const uint16_t size = trial == 0 ? 64 : kSizes.at(trial % kSizes.size());
    EXPECT_EQ(next.frame_len, 42 + size);
    Dataplane dataplane(ports, *session, next, options, clock, signals, affinity);
    mode->run(dataplane);
    session->add_trial({.packets = kRates.at((trial + 1) % kRates.size()),
                        .period_ns = 1'000'000'000,
                        .duration_ns = kDurationNs,
                        .payload_len = kSizes.at((trial + 1) % kSizes.size())});
    rs::PortEnd port_end{};
    port_end.delivered = port.delivered();
    port_end.accepted = port.accepted();
    rs::End end{};
    end.now_ns = dataplane.clock().now_ns();
    end.ports.push_back(std::move(port_end));
    const rs::Finished finished = session->finish(std::move(end));
    EXPECT_EQ(std::string(finished.problem), "");
    const std::string summary(finished.summary);
    const uint64_t due = (rate * kDurationNs + 999'999'999) / 1'000'000'000;
    EXPECT_NE(summary.find("\nlost      0 ("), std::string::npos) << summary;
    EXPECT_NE(summary.find("\ndue       " + grouped(due) + " = sent "), std::string::npos)
        << summary;
    EXPECT_EQ(rte_mempool_avail_count(port.tx_pool(0)), idle) << trial;
    if (trial == 0) {
      threads_after_first = threads();
    }
    EXPECT_EQ(threads(), threads_after_first);
    if (trial == 9) {
      bytes_after_ten = allocated_bytes();
    }
  }
  // The session remembers what every trial was asked to do; anything that a run makes is larger
  // than this.
  constexpr uint64_t kRemembered = 512;
  EXPECT_LT(allocated_bytes(), bytes_after_ten + ((kTrials - 10) * kRemembered));
}

}  // namespace
}  // namespace dpdkproj
