#pragma once

#include <rte_ethdev.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dpdk/mempool.hpp"
#include "dpdk/queue.hpp"

namespace dpdkproj {

/// How long to wait for the other end of a link.
inline constexpr std::chrono::seconds kLinkPatience{10};

/// What is asked of a port.
struct PortConfig {
  uint16_t rx_queues;
  /// 0: nothing is sent. (The port has some all the same, as drivers want it.)
  uint16_t tx_queues;
  uint16_t rx_descriptors;
  uint16_t tx_descriptors;
  uint16_t burst;
  /// Use checksum offload if the port has it.
  bool checksum_offload;
  /// Packets say when they are to leave (TxSchedule); refused where the port cannot keep to it.
  bool send_on_timestamp = false;
  /// Mbufs of each rx queue that a worker may hold back.
  unsigned held_mbufs = 0;
  /// Packets of any pool may be sent on any tx queue. Else all packets that are ever sent on a tx
  /// queue are of one pool (its own, or that of one rx queue) and nobody else refers to them, which
  /// lets ports free them faster.
  bool mixed_pools = true;
};

/// What a port can do, before it is configured.
struct PortInfo {
  uint16_t port_id;
  uint16_t max_rx_queues;
  uint16_t max_tx_queues;
  uint16_t mtu;
};

/// The speed that `link` tells of, in Mbit/s; 0 where it tells none.
uint32_t speed_mbps(const rte_eth_link& link) noexcept;

/// The port with MAC address `mac` (as `rte_ether_format_addr` writes it, in lower case), or the
/// only one when `mac` is empty. Throws UsageError, with the ports there are, if there is none.
PortInfo find_port(const std::string& mac);

/// A configured and started port with its queues and mempools; stopped and closed at its end.
///
/// Every rx and every tx queue has a mempool of its own, so that no two lcores share one.
class Port {
 public:
  Port(const PortInfo& info, const PortConfig& config);
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  uint16_t id() const noexcept { return port_id_; }
  std::array<uint8_t, 6> mac() const;

  // For what is made before a run begins. All of them throw a UsageError if there is no such queue.
  RxQueue& rx_queue(uint16_t queue);
  TxQueue& tx_queue(uint16_t queue);
  /// The pool that packets of rx queue `queue` come from.
  rte_mempool* rx_pool(uint16_t queue);
  /// The pool for packets that a worker sends of its own on tx queue `queue`.
  rte_mempool* tx_pool(uint16_t queue);

  /// Whether the port writes IPv4 and UDP checksums into packets that ask for it.
  bool has_checksum_offload() const noexcept { return checksum_offload_; }

  /// Whether the port may deliver packets whose UDP checksum is still only the pseudo-header's sum:
  /// those that this host's own kernel sent, which never crossed a wire.
  bool may_deliver_partial_checksums() const noexcept { return partial_checksums_; }

  /// Waits until the link is up, at most `patience`, or until `give_up` says so; whether it is up.
  bool wait_for_link(
      std::chrono::milliseconds patience,
      const std::function<bool()>& give_up = [] { return false; }) const;

  /// How fast the link is, in Mbit/s; 0 where the driver does not say.
  uint32_t link_mbps() const noexcept;

  /// Counters begin here: what a port that nobody polls yet throws away is no loss of the run.
  void begin_counting();

  /// Packets that the drivers of all queues delivered and accepted since begin_counting(). To be
  /// asked when no lcore polls.
  uint64_t delivered() const noexcept;
  uint64_t accepted() const noexcept;

  /// A name and a number.
  using Counter = std::pair<std::string, uint64_t>;

  /// What the port says of packets that never reached a queue's user, since begin_counting(), by
  /// name: imissed, ierrors, oerrors, rx_nombuf (`rte_eth_stats`), and those of the driver's own
  /// counters (`rte_eth_xstats`) that are not 0 and tell of losses. Empty where the port does not
  /// say.
  std::vector<Counter> counters() const;

  /// Packets that came in and reached no queue's user, by what the port says, since its start;
  /// nothing where it does not say.
  std::optional<uint64_t> missed() const;

  /// The name of the driver.
  const char* driver() const noexcept { return info_.driver_name; }

 private:
  void require_send_on_timestamp() const;
  void configure(const PortConfig& config);
  void start() const;
  void set_up_queues(const PortConfig& config, const rte_eth_conf& conf);

  uint16_t port_id_;
  uint16_t mtu_;
  rte_eth_dev_info info_;
  std::optional<rte_eth_stats> before_{rte_eth_stats{}};
  std::vector<Counter> xstats_before_;
  uint64_t delivered_before_ = 0;
  uint64_t accepted_before_ = 0;
  bool checksum_offload_ = false;
  /// That the driver wants and nobody sends on.
  uint16_t unused_tx_queues_ = 0;
  bool partial_checksums_ = false;
  std::vector<Mempool> rx_pools_;
  std::vector<Mempool> tx_pools_;
  std::vector<RxQueue> rx_queues_;
  std::vector<TxQueue> tx_queues_;
};

}  // namespace dpdkproj
