#pragma once

#include <rte_ethdev.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dpdk/find_port.hpp"
#include "dpdk/mempool.hpp"
#include "dpdk/packet_sockets.hpp"
#include "dpdk/port_watch.hpp"
#include "dpdk/queue.hpp"
#include "dpdk/stop.hpp"

namespace dpdkproj {

/// How long to wait for the link, or for the peer of a memif port, unless told otherwise.
inline constexpr std::chrono::seconds kLinkTimeout{10};

/// Where a mode sends received packets. This decides how many mbufs the pool of an rx queue needs.
enum class PassingOn {
  /// Received packets are not sent: a tx queue sends packets from its own pool only.
  kNever,
  /// On the tx queue with the same number as the rx queue; that tx queue sends nothing else.
  kToOwnQueue,
  /// On any tx queue, mixed with packets from any pool.
  kToAnyQueue,
};

/// Tx offloads of a port (rte_eth_txmode), for packets that request them.
struct TxOffloads {
  /// It computes the checksum of the IPv4 header.
  bool ipv4 = false;
  /// It computes the UDP checksum.
  bool udp = false;
  /// It inserts a VLAN tag.
  bool vlan = false;
};

/// The requested configuration of a port.
struct PortConfig {
  uint16_t rx_queues;
  /// 0: nothing is sent. (The port still gets tx queues where its driver requires them.)
  uint16_t tx_queues;
  uint16_t rx_descriptors;
  uint16_t tx_descriptors;
  /// Maximum packets per call of rte_eth_rx_burst; rounded up for drivers that need that.
  uint16_t rx_burst;
  /// Maximum packets per call of rte_eth_tx_burst.
  uint16_t tx_burst;
  /// Tx offloads to enable, as far as the port supports them.
  TxOffloads offloads;
  /// Packets carry their launch time (TxSchedule); refused if the port has no such offload.
  bool send_on_timestamp = false;
  /// Enable checksum verification of received packets, if the port supports it. Packets with a
  /// wrong checksum are only counted (counters()); they are delivered all the same.
  bool verify_checksums = false;
  /// Refuse a port that does not support all of `offloads`.
  bool offloads_required = false;
  /// How long to wait for the peer of a memif port.
  std::chrono::milliseconds peer_timeout = kLinkTimeout;
  /// Mbufs of each rx queue that a worker may hold.
  unsigned held_mbufs = 0;
  /// Unless this is kToAnyQueue, all packets sent on a tx queue come from one pool and have no
  /// other reference, which allows the port to free them faster (MBUF_FAST_FREE).
  PassingOn passing_on = PassingOn::kToAnyQueue;
  /// The MTU to set; 0: the port keeps the one it has.
  uint16_t mtu = 0;
  /// Multicast addresses whose frames the port has to receive.
  std::span<const rte_ether_addr> multicast = {};
};

/// Link speed in Mbit/s; 0 if unknown.
uint32_t speed_mbps(const rte_eth_link& link) noexcept;

/// A configured and started port with its queues and mempools; the destructor stops and closes it.
/// If a stop is requested while the port waits for its peer (a net_memif client), the port is not
/// started, and its queues must not be used.
///
/// Every rx queue and every tx queue has its own mempool, so that no two lcores share one.
class Port {
 public:
  Port(const PortInfo& info, const PortConfig& config, const StopRequest& stop = no_stop());
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  uint16_t id() const noexcept { return port_id_; }
  std::string name() const;
  uint16_t rx_queues() const noexcept { return static_cast<uint16_t>(rx_queues_.size()); }
  /// Bytes of the longest frame that the port sends and receives.
  unsigned longest_frame() const noexcept { return mtu_ + kAroundIp; }
  std::array<uint8_t, 6> mac() const;

  // For use before a run starts. All of them throw a UsageError if there is no such queue.
  RxQueue& rx_queue(uint16_t queue);
  TxQueue& tx_queue(uint16_t queue);
  /// Flushes this lcore's caches of all pools, because another lcore polls the queues next.
  void flush_mempool_caches() const noexcept;
  /// The pool of the packets received on rx queue `queue`.
  rte_mempool* rx_pool(uint16_t queue);
  /// The pool for packets that a worker originates on tx queue `queue`.
  rte_mempool* tx_pool(uint16_t queue);

  /// The tx offloads in use: those of PortConfig::offloads that the port supports.
  TxOffloads offloads() const noexcept { return offloads_; }

  /// Whether the port may deliver packets whose UDP checksum holds only the sum of the
  /// pseudo-header: packets that the kernel of this host sent, which never crossed a wire.
  bool may_deliver_partial_checksums() const noexcept { return partial_checksums_; }

  /// The NUMA node of the port; SOCKET_ID_ANY if unknown.
  int numa_node() const noexcept { return rte_eth_dev_socket_id(port_id_); }

  /// Waits until the link is up, a stop is requested, or `timeout` has passed. Returns whether the
  /// link is up.
  bool wait_for_link(std::chrono::milliseconds timeout, const StopRequest& stop = no_stop()) const;

  /// Link speed in Mbit/s; 0 if the driver does not report it.
  uint32_t link_mbps() const noexcept;

  /// Sets the baseline of all counters: what a port drops while no lcore polls it yet is no loss of
  /// the run.
  void begin_counting();

  /// Packets that the driver delivered and accepted on all queues since begin_counting(). Call only
  /// while no lcore polls.
  uint64_t delivered() const noexcept;
  uint64_t accepted() const noexcept;
  /// Of the delivered ones, those in which the port found a wrong checksum.
  uint64_t flagged() const noexcept;

  /// Name and value.
  using Counter = std::pair<std::string, uint64_t>;

  /// Counters of packets that never reached a worker, since begin_counting(), by name: imissed,
  /// ierrors, oerrors, rx_nombuf (`rte_eth_stats`), and those xstats of the driver that are not 0
  /// and whose names suggest loss (some of them also count delivered packets). Also
  /// `flagged_checksums`, if the port verifies checksums: delivered packets in which it found a
  /// wrong one. Empty if the port does not report them or its device is gone.
  std::vector<Counter> counters() const;

  /// Received packets that never reached a worker, as the port reports since its start; nullopt if
  /// it does not report them or its device is gone.
  std::optional<uint64_t> missed() const;

  /// What happens to the port beside its traffic.
  const PortWatch& watch() const noexcept { return *watch_; }
  /// Whether the port's device has been removed; its counters are then unknown. Makes system calls.
  bool is_removed() const noexcept { return watch_->is_removed(); }

  const char* driver() const noexcept { return info_.driver_name; }

 private:
  void set_mtu(uint16_t before);
  void require_offloads(const TxOffloads& wanted) const;
  void require_send_on_timestamp() const;
  void configure(const PortConfig& config);
  void start(std::chrono::milliseconds peer_timeout, const StopRequest& stop) const;
  void receive_multicast(std::span<const rte_ether_addr> addresses);
  void set_up_queues(const PortConfig& config, const rte_eth_conf& conf);
  bool read_stats(rte_eth_stats& stats) const;

  uint16_t port_id_;
  uint16_t mtu_;
  rte_eth_dev_info info_;
  std::optional<rte_eth_stats> before_{rte_eth_stats{}};
  std::vector<Counter> xstats_before_;
  uint64_t delivered_before_ = 0;
  uint64_t accepted_before_ = 0;
  uint64_t flagged_before_ = 0;
  TxOffloads offloads_{};
  /// Tx queues that only the driver needs.
  uint16_t unused_tx_queues_ = 0;
  bool partial_checksums_ = false;
  bool promiscuous_ = false;
  /// The port verifies the checksums of received packets.
  bool verifies_ = false;
  /// The MTU that the port had, if it got another one.
  std::optional<uint16_t> mtu_before_;
  std::optional<PortWatch> watch_;
  /// Not thread-safe.
  mutable PacketSockets sockets_;
  std::vector<Mempool> rx_pools_;
  std::vector<Mempool> tx_pools_;
  std::vector<RxQueue> rx_queues_;
  std::vector<TxQueue> tx_queues_;
};

}  // namespace dpdkproj
