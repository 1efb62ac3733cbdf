#include "dpdk/port.hpp"

#include <rte_errno.h>
#include <rte_ether.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <stdexcept>
#include <string_view>

#include "dpdk/error.hpp"
#include "dpdk/fault_guard.hpp"
#include "dpdk/queue_rules.hpp"
#include "dpdk/rss.hpp"
#include "dpdk/sysfs.hpp"
#include "dpdk/tx_schedule.hpp"

namespace dpdkproj {

namespace {

/// Drivers that see packets of this host as its sockets left them: with CHECKSUM_PARTIAL, meant for
/// a NIC to finish, though there is none.
bool is_on_kernel_stack(std::string_view driver) {
  return driver == "net_af_packet" || driver == "net_af_xdp";
}

/// Devices of hypervisors: a host that may leave checksums to us delivers packets of its other
/// guests without them.
bool is_paravirtual(std::string_view driver) {
  constexpr std::array kDrivers = {"net_virtio", "net_virtio_user", "net_vhost", "net_vmxnet3",
                                   "net_netvsc"};
  return std::ranges::find(kDrivers, driver) != kDrivers.end();
}

/// Mbufs of the pool of an rx queue that the driver may have at the same time. If it gets the last
/// one, it receives nothing any more.
unsigned mbufs_in_driver(std::string_view driver, uint16_t rx_descriptors) {
  if (driver == "net_vmxnet3") {
    return 2U * rx_descriptors;  // It fills two rings.
  }
  if (driver == "net_af_xdp") {
    // Whatever we ask for, its rings for free buffers and for sent ones have
    // XSK_RING_*_DEFAULT_NUM_DESCS entries. The tx ring is as large as the rx ring, and packets to
    // send are copied into mbufs of the rx pool.
    constexpr unsigned kFillRing = 2048;
    constexpr unsigned kCompletionRing = 2048;
    return kFillRing + kCompletionRing + rx_descriptors;
  }
  return rx_descriptors;
}

/// The tx offloads of a port that keeps what its driver promises. The NICs of net_e1000_em insert
/// VLAN tags only while they also strip those of received frames (CTRL.VME in their data sheets);
/// otherwise, frames leave without a tag, and nothing says so.
uint64_t tx_offloads_of(const rte_eth_dev_info& info) {
  const bool breaks_promise = std::string_view(info.driver_name) == "net_e1000_em";
  return info.tx_offload_capa & ~(breaks_promise ? RTE_ETH_TX_OFFLOAD_VLAN_INSERT : uint64_t{0});
}

uint64_t flags_of(const TxOffloads& offloads) {
  return (offloads.ipv4 ? RTE_ETH_TX_OFFLOAD_IPV4_CKSUM : 0) |
         (offloads.udp ? RTE_ETH_TX_OFFLOAD_UDP_CKSUM : 0) |
         (offloads.vlan ? RTE_ETH_TX_OFFLOAD_VLAN_INSERT : 0);
}

void say_if_adjusted(const char* option, uint16_t asked, uint16_t descriptors) {
  if (descriptors != asked) {
    std::fprintf(stderr, "dpdkproj: %s %u: the port has %u for a queue instead\n", option, asked,
                 descriptors);
  }
}

/// The element of queue `queue`; throws a UsageError if there is no such queue.
template <typename T>
T& at(std::vector<T>& all, uint16_t queue, const std::string& kind, const std::string& option) {
  if (queue >= all.size()) {
    throw UsageError("the mode wants " + kind + " queue " + std::to_string(queue) +
                     ", and there are " + std::to_string(all.size()) + " " + kind +
                     " queues: raise " + option +
                     ", or register the mode with the queues it needs");
  }
  return all[queue];
}

/// Drivers with vector instructions round the burst size down to a multiple of 4 or 8: "the value
/// must be divisible by 8 in order to work with any driver" (rte_eth_rx_burst).
constexpr uint16_t kRxBurstStep = 8;
static_assert(kMaxBurst % kRxBurstStep == 0);

uint16_t usable_rx_burst(uint16_t asked) {
  const auto burst = static_cast<uint16_t>(RTE_ALIGN_MUL_CEIL(asked, kRxBurstStep));
  if (burst != asked) {
    std::fprintf(
        stderr,
        "dpdkproj: --rx-burst %u: packets are received in bursts of up to %u, because some "
        "drivers support only multiples of %u\n",
        asked, burst, kRxBurstStep);
  }
  return burst;
}

/// Number of tx queues that may be full of packets of one rx queue at the same time.
unsigned passed_on_to(const PortConfig& config) {
  switch (config.passing_on) {
    case PassingOn::kNever:
      return 0;
    case PassingOn::kToOwnQueue:
      return 1;
    case PassingOn::kToAnyQueue:
      break;
  }
  return config.tx_queues;
}

uint64_t usable_rss(uint64_t offered) {
  // UDP ports distinguish our flows: without them, all packets between two addresses go to one
  // queue.
  const uint64_t wanted = RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_IPV4 |
                          RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_IPV6;
  return offered & wanted;
}

/// Which packets a port with these hash functions cannot spread by UDP port; nullptr: it spreads
/// all.
const char* not_spread(uint64_t rss) {
  if ((rss & RTE_ETH_RSS_NONFRAG_IPV4_UDP) == 0) {
    return "packets";
  }
  return (rss & RTE_ETH_RSS_NONFRAG_IPV6_UDP) == 0 ? "IPv6 packets" : nullptr;
}

}  // namespace

uint32_t speed_mbps(const rte_eth_link& link) noexcept {
  return link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? RTE_ETH_SPEED_NUM_NONE : link.link_speed;
}

Port::Port(const PortInfo& info, const PortConfig& config, const StopRequest& stop)
    : port_id_(info.port_id), mtu_(config.mtu == 0 ? info.mtu : config.mtu), info_{} {
  check(rte_eth_dev_info_get(port_id_, &info_), "rte_eth_dev_info_get");
  partial_checksums_ = is_on_kernel_stack(info_.driver_name);
  try {
    configure(config);
    if (config.mtu != 0) {
      set_mtu(info.mtu);
    }
    start(config.peer_timeout, stop);
    std::ranges::for_each(rx_queues_, &RxQueue::find_out);
    receive_multicast(config.multicast);
    watch_.emplace(port_id_, info_.device);
    sockets_ = PacketSockets(info_);
  } catch (...) {
    rte_eth_dev_close(port_id_);
    throw;
  }
}

void Port::start(std::chrono::milliseconds peer_timeout, const StopRequest& stop) const {
  const auto until = std::chrono::steady_clock::now() + peer_timeout;
  int result = rte_eth_dev_start(port_id_);
  // A memif client starts only once its server listens: this takes the place of a link.
  const bool is_memif = std::string_view(info_.driver_name) == "net_memif";
  if (result != 0 && is_memif) {
    std::fprintf(stderr,
                 "dpdkproj: port %u (net_memif) waits for a server that listens on its socket\n",
                 port_id_);
  }
  while (result != 0 && is_memif) {
    if (std::chrono::steady_clock::now() >= until) {
      throw std::runtime_error("port " + std::to_string(port_id_) +
                               " (net_memif): no server has listened on its socket for " +
                               in_seconds(peer_timeout) +
                               ": start the peer first, with role=server and the same socket, or "
                               "raise --wait-link");
    }
    if (stop.sleep(std::min(peer_timeout, std::chrono::milliseconds(500)))) {
      return;
    }
    result = rte_eth_dev_start(port_id_);
  }
  check(result, "rte_eth_dev_start");
}

void Port::receive_multicast(std::span<const rte_ether_addr> addresses) {
  if (addresses.empty()) {
    return;
  }
  std::vector<rte_ether_addr> list(addresses.begin(), addresses.end());
  if (rte_eth_dev_set_mc_addr_list(port_id_, list.data(), static_cast<uint32_t>(list.size())) ==
          0 ||
      rte_eth_allmulticast_enable(port_id_) == 0) {
    return;
  }
  promiscuous_ = rte_eth_promiscuous_enable(port_id_) == 0;
  std::fprintf(stderr, "dpdkproj: port %u (%s) cannot select multicast addresses: %s\n", port_id_,
               info_.driver_name,
               promiscuous_
                   ? "it receives everything on its link, so that it can be found over IPv6"
                   : "IPv6 neighbours may not find it; give them a static entry");
}

void Port::set_mtu(uint16_t before) {
  const int result = rte_eth_dev_set_mtu(port_id_, mtu_);
  // Drivers without this call take the MTU from the configuration.
  if (result != 0 && result != -ENOTSUP) {
    throw UsageError("--mtu " + std::to_string(mtu_) + ": port " + std::to_string(port_id_) + " (" +
                     info_.driver_name + ") refuses it (" + rte_strerror(-result) +
                     "); lower --mtu, or allow larger frames where the device is made");
  }
  if (result == 0) {
    mtu_before_ = before;
  }
}

void Port::require_offloads(const TxOffloads& wanted) const {
  std::string missing;
  const auto add = [&missing](bool lacks, const char* what) {
    if (lacks) {
      missing += (missing.empty() ? "" : " and ") + std::string(what);
    }
  };
  add(wanted.ipv4 && !offloads_.ipv4, "the IPv4 checksum");
  add(wanted.udp && !offloads_.udp, "the UDP checksum");
  add(wanted.vlan && !offloads_.vlan, "the VLAN tag");
  if (!missing.empty()) {
    throw UsageError("--offload on: port " + std::to_string(port_id_) + " (" + info_.driver_name +
                     ") cannot write " + missing +
                     "; give --offload auto, which leaves the rest to software");
  }
}

void Port::require_send_on_timestamp() const {
  if ((info_.tx_offload_capa & RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP) == 0) {
    throw UsageError("--pacing hw: port " + std::to_string(port_id_) + " (" + info_.driver_name +
                     ") cannot send packets at given times; use --pacing spin, or, with mlx5, "
                     "give EAL the device argument tx_pp=500");
  }
}

void Port::configure(const PortConfig& config) {
  rte_eth_conf conf{};
  // With 0, DPDK would set the MTU to 1500.
  conf.rxmode.mtu = mtu_;
  if (config.rx_queues > 1) {
    const uint64_t rss = usable_rss(info_.flow_type_rss_offloads);
    if (rss != 0) {
      conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
      conf.rx_adv_conf.rss_conf.rss_hf = rss;
      use_known_key(conf.rx_adv_conf.rss_conf, info_);
    }
    if (const char* packets = not_spread(rss); packets != nullptr) {
      std::fprintf(stderr,
                   "dpdkproj: port %u (%s) cannot spread %s over rx queues by UDP port: some of "
                   "the %u queues may stay empty\n",
                   port_id_, info_.driver_name, packets, config.rx_queues);
    }
  }
  // Some drivers receive into at most 2 KiB of an mbuf, however large it is.
  if (longest_frame() > RTE_MBUF_DEFAULT_DATAROOM) {
    conf.rxmode.offloads |= info_.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
  }
  conf.txmode.offloads |= tx_offloads_of(info_) & flags_of(config.offloads);
  offloads_ = {.ipv4 = (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0,
               .udp = (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0,
               .vlan = (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0};
  if (config.offloads_required) {
    require_offloads(config.offloads);
  }
  if (config.verify_checksums && !is_paravirtual(info_.driver_name)) {
    constexpr uint64_t kBoth = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
    conf.rxmode.offloads |= info_.rx_offload_capa & kBoth;
    verifies_ = (conf.rxmode.offloads & kBoth) != 0;
  }
  if (config.send_on_timestamp) {
    require_send_on_timestamp();
    // mlx5 looks the field up only when the port is started.
    LaunchTimeField::make();
    conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP;
  }
  if (config.passing_on != PassingOn::kToAnyQueue) {
    conf.txmode.offloads |= info_.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
  }
  // Drivers with interrupts for removal and link report them only on request.
  conf.intr_conf.rmv = (*info_.dev_flags & RTE_ETH_DEV_INTR_RMV) != 0 ? 1 : 0;
  // With lsc, DPDK reports the link as it was at the last interrupt, and else asks the driver.
  const bool has_link_interrupts = (*info_.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0 &&
                                   delivers_interrupts(sysfs_path(info_.device));
  conf.intr_conf.lsc = has_link_interrupts ? 1 : 0;
  const uint16_t needed = tx_queues_needed(queue_rules(info_.driver_name), port_id_,
                                           config.rx_queues, config.tx_queues);
  // Drivers without rules of their own want at least one.
  unused_tx_queues_ = config.tx_queues > 0 ? static_cast<uint16_t>(needed - config.tx_queues)
                                           : std::min(config.rx_queues, info_.max_tx_queues);
  const auto tx_queues = static_cast<uint16_t>(config.tx_queues + unused_tx_queues_);
  int result = rte_eth_dev_configure(port_id_, config.rx_queues, tx_queues, &conf);
  if (result < 0 && conf.rx_adv_conf.rss_conf.rss_key != nullptr) {
    // The driver may keep to a key of its own.
    conf.rx_adv_conf.rss_conf.rss_key = nullptr;
    conf.rx_adv_conf.rss_conf.rss_key_len = 0;
    result = rte_eth_dev_configure(port_id_, config.rx_queues, tx_queues, &conf);
  }
  check(result, "rte_eth_dev_configure",
        "the driver may have rules for the numbers of queues; change -r or -t");
  set_up_queues(config, conf);
}

void Port::set_up_queues(const PortConfig& config, const rte_eth_conf& conf) {
  uint16_t rx_descriptors = config.rx_descriptors;
  uint16_t tx_descriptors = config.tx_descriptors;
  check(rte_eth_dev_adjust_nb_rx_tx_desc(port_id_, &rx_descriptors, &tx_descriptors),
        "rte_eth_dev_adjust_nb_rx_tx_desc", "change --rx-descriptors or --tx-descriptors");
  say_if_adjusted("--rx-descriptors", config.rx_descriptors, rx_descriptors);
  say_if_adjusted("--tx-descriptors", config.tx_descriptors, tx_descriptors);
  const int socket = rte_eth_dev_socket_id(port_id_);
  const uint16_t rx_burst = usable_rx_burst(config.rx_burst);
  const unsigned burst = std::max(rx_burst, config.tx_burst);
  const std::string prefix = "port" + std::to_string(port_id_);
  const bool guards = FaultGuard::is_needed(info_.driver_name);
  if (guards) {
    FaultGuard::install();
  }

  // A forwarded packet moves from a descriptor of the rx queue to one of a tx queue.
  const MempoolDemand rx_demand{mbufs_in_driver(info_.driver_name, rx_descriptors) +
                                    passed_on_to(config) * tx_descriptors + config.held_mbufs +
                                    kSlowMbufs,
                                burst, longest_frame()};
  rx_queues_.reserve(config.rx_queues);
  for (uint16_t queue = 0; queue < config.rx_queues; ++queue) {
    rx_pools_.push_back(make_mempool(prefix + "_rx" + std::to_string(queue), rx_demand, socket));
    rte_eth_rxconf rx_conf = info_.default_rxconf;
    rx_conf.offloads = conf.rxmode.offloads;
    check(rte_eth_rx_queue_setup(port_id_, queue, rx_descriptors, static_cast<unsigned>(socket),
                                 &rx_conf, rx_pools_.back().get()),
          "rte_eth_rx_queue_setup", "change -r or --rx-descriptors");
    rx_queues_.emplace_back(port_id_, queue, rx_burst, verifies_, guards);
  }
  tx_queues_.reserve(config.tx_queues);
  for (uint16_t queue = 0; queue < config.tx_queues + unused_tx_queues_; ++queue) {
    rte_eth_txconf tx_conf = info_.default_txconf;
    tx_conf.offloads = conf.txmode.offloads;
    check(rte_eth_tx_queue_setup(port_id_, queue, tx_descriptors, static_cast<unsigned>(socket),
                                 &tx_conf),
          "rte_eth_tx_queue_setup", "change -t or --tx-descriptors");
    if (queue < config.tx_queues) {
      // Tx queue 0 also sends frames of the control thread, copied behind the prepared bytes
      // (SlowPath).
      const MempoolDemand tx_demand{tx_descriptors, burst, longest_frame() * (queue == 0 ? 2 : 1)};
      tx_pools_.push_back(make_mempool(prefix + "_tx" + std::to_string(queue), tx_demand, socket));
      tx_queues_.emplace_back(port_id_, queue, config.tx_burst, offloads_.vlan, guards);
    }
  }
}

Port::~Port() {
  watch_.reset();
  if (promiscuous_) {
    // Where the port is an interface of the kernel, that would outlast this process.
    rte_eth_promiscuous_disable(port_id_);
  }
  // Before the pools are freed: the driver still holds mbufs from them.
  rte_eth_dev_stop(port_id_);
  if (mtu_before_) {
    // As with promiscuous mode above.
    rte_eth_dev_set_mtu(port_id_, *mtu_before_);
  }
  rte_eth_dev_close(port_id_);
}

RxQueue& Port::rx_queue(uint16_t queue) { return at(rx_queues_, queue, "rx", "-r"); }

TxQueue& Port::tx_queue(uint16_t queue) { return at(tx_queues_, queue, "tx", "-t"); }

rte_mempool* Port::rx_pool(uint16_t queue) { return at(rx_pools_, queue, "rx", "-r").get(); }

rte_mempool* Port::tx_pool(uint16_t queue) { return at(tx_pools_, queue, "tx", "-t").get(); }

void Port::flush_mempool_caches() const noexcept {
  const auto flush = [](const Mempool& pool) {
    rte_mempool_cache_flush(rte_mempool_default_cache(pool.get(), rte_lcore_id()), pool.get());
  };
  std::ranges::for_each(rx_pools_, flush);
  std::ranges::for_each(tx_pools_, flush);
}

std::string Port::name() const {
  std::array<char, RTE_ETH_NAME_MAX_LEN> name;
  check(rte_eth_dev_get_name_by_port(port_id_, name.data()), "rte_eth_dev_get_name_by_port");
  return name.data();
}

std::array<uint8_t, 6> Port::mac() const {
  rte_ether_addr address;
  check(rte_eth_macaddr_get(port_id_, &address), "rte_eth_macaddr_get");
  std::array<uint8_t, 6> mac;
  std::copy_n(address.addr_bytes, mac.size(), mac.begin());
  return mac;
}

bool Port::wait_for_link(std::chrono::milliseconds timeout, const StopRequest& stop) const {
  const auto until = std::chrono::steady_clock::now() + timeout;
  bool said = false;
  rte_eth_link link{};
  while (rte_eth_link_get_nowait(port_id_, &link) == 0 && link.link_status == RTE_ETH_LINK_DOWN) {
    if (timeout.count() > 0 && !std::exchange(said, true)) {
      std::fprintf(stderr, "dpdkproj: port %u waits for its link\n", port_id_);
    }
    if (std::chrono::steady_clock::now() >= until || stop.sleep(std::chrono::milliseconds(10))) {
      return false;
    }
  }
  return true;
}

uint32_t Port::link_mbps() const noexcept {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(port_id_, &link) == 0 ? speed_mbps(link) : 0;
}

}  // namespace dpdkproj
