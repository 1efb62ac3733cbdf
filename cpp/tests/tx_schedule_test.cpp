#include "dpdk/tx_schedule.hpp"

#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "dataplane/mode.hpp"
#include "dpdk/error.hpp"
#include "dpdk/port.hpp"
#include "tests/fake_offloads.hpp"
#include "tests/virtual_port.hpp"

namespace dpdkproj {
namespace {

/// Makes a virtual port support launch times. The linker redirects the calls below to this file.
struct Fake {
  /// The port's clock shows this clock times `ticks_per_ns`; nullptr: the port is not faked.
  const Clock* clock = nullptr;
  double ticks_per_ns = 0.3;
  uint64_t offset = 1'000'000'000'000;
  /// Number of readings of the port's clock that will fail.
  int failures = 0;
  /// Calls of dev_configure and of tx_queue_setup that requested the offload.
  int configured = 0;
  int queues = 0;
  /// Whether the flag was registered when the port was started.
  bool knows_flag = false;

  uint64_t ticks_at(uint64_t ns) const {
    return offset + static_cast<uint64_t>(static_cast<double>(ns) * ticks_per_ns);
  }
};

Fake fake;

/// Tolerance of a reading of the port's clock, in ticks.
constexpr double kTolerance = 0.3 * 5'000;

}  // namespace

extern "C" {
int real_dev_info_get(uint16_t port, rte_eth_dev_info* info) asm("__real_rte_eth_dev_info_get");
int real_dev_configure(uint16_t port, uint16_t rx, uint16_t tx,
                       const rte_eth_conf* conf) asm("__real_rte_eth_dev_configure");
int real_tx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors, unsigned socket,
                        const rte_eth_txconf* conf) asm("__real_rte_eth_tx_queue_setup");
int real_dev_start(uint16_t port) asm("__real_rte_eth_dev_start");
int real_read_clock(uint16_t port, uint64_t* ticks) asm("__real_rte_eth_read_clock");

int fake_dev_start(uint16_t port) asm("__wrap_rte_eth_dev_start");
int fake_dev_info_get(uint16_t port, rte_eth_dev_info* info) asm("__wrap_rte_eth_dev_info_get");
int fake_dev_configure(uint16_t port, uint16_t rx, uint16_t tx,
                       const rte_eth_conf* conf) asm("__wrap_rte_eth_dev_configure");
int fake_tx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors, unsigned socket,
                        const rte_eth_txconf* conf) asm("__wrap_rte_eth_tx_queue_setup");
int fake_read_clock(uint16_t port, uint64_t* ticks) asm("__wrap_rte_eth_read_clock");

int fake_dev_info_get(uint16_t port, rte_eth_dev_info* info) {
  const int result = real_dev_info_get(port, info);
  if (fake.clock != nullptr) {
    info->tx_offload_capa |= RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP;
  }
  info->tx_offload_capa |= dpdkproj::fake_offloads.offered;
  if (dpdkproj::fake_offloads.hash_key_size != 0) {
    info->hash_key_size = dpdkproj::fake_offloads.hash_key_size;
  }
  return result;
}

int fake_dev_configure(uint16_t port, uint16_t rx, uint16_t tx, const rte_eth_conf* conf) {
  rte_eth_conf plain = *conf;
  if (fake.clock != nullptr) {
    fake.configured +=
        static_cast<int>((plain.txmode.offloads & RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP) != 0);
    plain.txmode.offloads &= ~RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP;
  }
  dpdkproj::fake_offloads.configured = plain.txmode.offloads & dpdkproj::fake_offloads.offered;
  plain.txmode.offloads &= ~dpdkproj::fake_offloads.offered;
  rte_eth_rss_conf& rss = plain.rx_adv_conf.rss_conf;
  if (rss.rss_key != nullptr && dpdkproj::fake_offloads.refuses_keys) {
    return -EINVAL;
  }
  dpdkproj::fake_offloads.rss_key.assign(rss.rss_key, rss.rss_key + rss.rss_key_len);
  rss.rss_key = nullptr;
  rss.rss_key_len = 0;
  return real_dev_configure(port, rx, tx, &plain);
}

int fake_tx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors, unsigned socket,
                        const rte_eth_txconf* conf) {
  rte_eth_txconf plain = *conf;
  if (fake.clock != nullptr) {
    fake.queues += static_cast<int>((plain.offloads & RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP) != 0);
    plain.offloads &= ~RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP;
  }
  plain.offloads &= ~dpdkproj::fake_offloads.offered;
  return real_tx_queue_setup(port, queue, descriptors, socket, &plain);
}

/// Like mlx5, requires the flag to be registered by now.
int fake_dev_start(uint16_t port) {
  if (fake.clock != nullptr) {
    fake.knows_flag = rte_mbuf_dynflag_lookup(RTE_MBUF_DYNFLAG_TX_TIMESTAMP_NAME, nullptr) >= 0;
  }
  return real_dev_start(port);
}

int fake_read_clock(uint16_t port, uint64_t* ticks) {
  if (fake.clock == nullptr) {
    return real_read_clock(port, ticks);
  }
  *ticks = fake.ticks_at(fake.clock->now_ns());
  return fake.failures > 0 && fake.failures-- > 0 ? -EIO : 0;
}
}  // extern "C"

namespace {

/// A packet as the port receives it.
struct Departure {
  bool is_scheduled;
  uint64_t ticks;
  /// The send time in its payload.
  uint64_t sent_ns;
};

/// The packets that a tx queue sent.
struct Departures {
  std::vector<Departure> packets;
  std::size_t bursts = 0;
};

/// Tx callback: records a burst in `departures`.
uint16_t note(uint16_t /*port*/, uint16_t /*queue*/, rte_mbuf** mbufs, uint16_t count,
              void* departures) {
  int offset = -1;
  uint64_t flag = 0;
  EXPECT_EQ(rte_mbuf_dyn_tx_timestamp_register(&offset, &flag), 0);
  auto* noted = static_cast<Departures*>(departures);
  ++noted->bursts;
  for (uint16_t i = 0; i < count; ++i) {
    constexpr std::size_t kSentAt = 42 + 8;  // 48 bits behind the headers and the index
    const auto* bytes = rte_pktmbuf_mtod(mbufs[i], const uint8_t*);
    uint64_t sent_ns = 0;
    for (std::size_t byte = 0; byte < 6; ++byte) {
      sent_ns = sent_ns << 8 | bytes[kSentAt + byte];
    }
    noted->packets.push_back({(mbufs[i]->ol_flags & flag) != 0,
                              *RTE_MBUF_DYNFIELD(mbufs[i], offset, rte_mbuf_timestamp_t*),
                              sent_ns});
  }
  return count;
}

/// Records the packets of both tx queues of a port.
class Listener {
 public:
  explicit Listener(const Port& port) : port_id_(port.id()) {
    for (uint16_t queue = 0; queue < 2; ++queue) {
      callbacks_[queue] = rte_eth_add_tx_callback(port_id_, queue, note, &departures_[queue]);
    }
  }
  ~Listener() {
    // A later port with the same number would inherit the callbacks.
    for (uint16_t queue = 0; queue < 2; ++queue) {
      EXPECT_EQ(rte_eth_remove_tx_callback(port_id_, queue, callbacks_[queue]), 0);
    }
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  const Departures& operator[](uint64_t queue) const { return departures_[queue]; }

 private:
  uint16_t port_id_;
  std::array<Departures, 2> departures_;
  std::array<const rte_eth_rxtx_callback*, 2> callbacks_{};
};

class TxScheduleTest : public testing::Test {
 protected:
  TxScheduleTest() { fake = {}; }
  ~TxScheduleTest() override { fake = {}; }

  static PortConfig scheduled() {
    return {.rx_queues = 1,
            .tx_queues = 2,
            .rx_descriptors = 256,
            .tx_descriptors = 256,
            .rx_burst = 32,
            .tx_burst = 32,
            .offloads = {},
            .send_on_timestamp = true,
            .held_mbufs = 0};
  }

  VirtualPort device{"net_null"};
  const Clock clock{ClockReading::take()};
};

TEST_F(TxScheduleTest, IsRefusedWhereThePortCannot) {
  try {
    const Port port(find_port(""), scheduled());
    FAIL() << "not refused";
  } catch (const UsageError& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find("--pacing hw: port "), 0U) << text;
    EXPECT_NE(text.find("(net_null) cannot send packets at given times"), std::string::npos)
        << text;
    EXPECT_NE(text.find("--pacing spin"), std::string::npos) << text;
  }
}

TEST_F(TxScheduleTest, NeedsThePortsClock) {
  try {
    const TxSchedule schedule(0, clock);
    FAIL() << "not refused";
  } catch (const DpdkError& error) {
    EXPECT_NE(std::string(error.what()).find("does not report its clock"), std::string::npos)
        << error.what();
  }
}

TEST_F(TxScheduleTest, FollowsThePortsClock) {
  fake.clock = &clock;
  TxSchedule schedule(0, clock);
  const auto expect_right = [&](uint64_t at_ns) {
    EXPECT_NEAR(static_cast<double>(schedule.ticks_at(at_ns)),
                static_cast<double>(fake.ticks_at(at_ns)), kTolerance);
  };
  // A failed reading is ignored.
  fake.failures = 3;
  schedule.follow(0);
  EXPECT_EQ(fake.failures, 0);
  const uint64_t now_ns = clock.now_ns();
  expect_right(now_ns);
  expect_right(now_ns + 1'000'000);
  fake.offset += 1'000'000;
  schedule.follow(1);  // not yet
  EXPECT_NEAR(static_cast<double>(schedule.ticks_at(now_ns)),
              static_cast<double>(fake.ticks_at(now_ns) - 1'000'000), kTolerance);
  schedule.follow(TxSchedule::kFollowNs);
  expect_right(clock.now_ns());
}

/// Runs sendrecv with these options. Returns how much later than `clock` its clock started.
uint64_t run(const Clock& clock, ServedPorts& ports, std::initializer_list<const char*> words) {
  rust::Vec<rust::String> args;
  for (const char* word :
       {"sendrecv", "--src", "10.0.0.1", "--dest", "10.0.0.2:7", "--dest-mac", "02:00:00:00:00:02",
        "-t", "2", "--no-peer-report", "--drain", "0.01", "-q", "--catch-up", "1000000"}) {
    args.push_back(word);
  }
  for (const char* word : words) {
    args.push_back(word);
  }
  rust::Vec<rs::Mode> infos;
  infos.push_back({"sendrecv", "", rs::Meaning::Measures, rs::Queues::Own, {}, {}});
  const rust::Box<rs::Config> config = rs::parse_args({}, std::move(args), std::move(infos));
  rust::Box<rs::Session> session = rs::open_session(*config, {});
  const rs::Next next = session->next(one_mac(), false);
  const rs::Options options = config->options();
  const StopSignals signals;
  Affinity affinity;
  Dataplane dataplane(ports, *session, next, options, clock, signals, affinity);
  const std::vector<Mode> modes = all_modes();
  const auto mode = std::ranges::find(modes, std::string_view("sendrecv"), &Mode::name);
  if (mode == modes.end()) {
    ADD_FAILURE() << "no such mode";
    return 0;
  }
  mode->run(dataplane);
  const uint64_t now_ns = clock.now_ns();
  return now_ns - dataplane.clock().now_ns();
}

TEST_F(TxScheduleTest, TellsThePortWhenEachPacketIsDue) {
  constexpr uint64_t kGapNs = 50'000;  // per queue: two queues at 40 kpps
  constexpr std::size_t kPackets = 1'000;
  fake.clock = &clock;
  ServedPorts ports;
  const Port& port = ports.emplace_back(find_port(""), scheduled()).port;
  EXPECT_EQ(fake.configured, 1);
  EXPECT_EQ(fake.queues, 2);
  EXPECT_TRUE(fake.knows_flag);
  const Listener departures(port);
  const uint64_t zero_ns =
      run(clock, ports, {"--rate", "40k", "--pacing", "hw", "--count", "2000"});
  for (uint64_t queue = 0; queue < 2; ++queue) {
    const std::vector<Departure>& packets = departures[queue].packets;
    ASSERT_EQ(packets.size(), kPackets);
    std::size_t on_time = 0;
    for (std::size_t i = 0; i < kPackets; ++i) {
      const uint64_t due_ns = i * kGapNs + queue * kGapNs / 2;
      EXPECT_GE(packets[i].sent_ns, due_ns);
      if (packets[i].sent_ns == due_ns && packets[i].is_scheduled) {
        ++on_time;
        EXPECT_NEAR(static_cast<double>(packets[i].ticks),
                    static_cast<double>(fake.ticks_at(zero_ns + due_ns)), kTolerance);
      }
    }
    // Not all packets: the lcores share a CPU here, and wait for each other for longer than the
    // lead.
    EXPECT_GT(on_time, 0U);
    EXPECT_EQ(departures[queue].bursts, kPackets);
  }
}

/// The same callback shows that each packet is a separate burst, which cannot be observed from
/// outside.
TEST_F(TxScheduleTest, SpinSendsPacketsOneByOneAndNotEarly) {
  constexpr uint64_t kGapNs = 2'000;  // per queue: two queues at 1 Mpps
  constexpr std::size_t kPackets = 10'000;
  PortConfig config = scheduled();
  config.send_on_timestamp = false;
  ServedPorts ports;
  const Port& port = ports.emplace_back(find_port(""), config).port;
  const Listener departures(port);
  run(clock, ports, {"--rate", "1m", "--pacing", "spin", "--count", "20000"});
  for (uint64_t queue = 0; queue < 2; ++queue) {
    const std::vector<Departure>& packets = departures[queue].packets;
    ASSERT_EQ(packets.size(), kPackets);
    EXPECT_EQ(departures[queue].bursts, kPackets);
    for (std::size_t i = 0; i < kPackets; ++i) {
      EXPECT_FALSE(packets[i].is_scheduled);
      EXPECT_GE(packets[i].sent_ns, i * kGapNs + queue * kGapNs / 2);
    }
  }
}

}  // namespace
}  // namespace dpdkproj
