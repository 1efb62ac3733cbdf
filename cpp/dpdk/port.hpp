#pragma once

#include <rte_ethdev.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dpdk/find_port.hpp"
#include "dpdk/mempool.hpp"
#include "dpdk/packet_sockets.hpp"
#include "dpdk/queue.hpp"
#include "dpdk/removal.hpp"
#include "dpdk/stop.hpp"

namespace dpdkproj {

/// How long to wait for the other end of a link.
inline constexpr std::chrono::seconds kLinkTimeout{10};

/// What is asked of a port.
/// Where received packets are sent, and so how many mbufs the pool of an rx queue needs.
enum class PassingOn {
  /// Nowhere: a tx queue sends packets of its own pool alone.
  kNever,
  /// On the tx queue with the number of the rx queue, and nothing else is sent there.
  kToOwnQueue,
  /// On any tx queue, among packets of any pool.
  kToAnyQueue,
};

struct PortConfig {
  uint16_t rx_queues;
  /// 0: nothing is sent. (The port has some all the same, as drivers want it.)
  uint16_t tx_queues;
  uint16_t rx_descriptors;
  uint16_t tx_descriptors;
  /// Packets that are received at once, at most; some are added where drivers need that.
  uint16_t rx_burst;
  /// Packets that are given to the driver at once, at most.
  uint16_t tx_burst;
  /// Leave to the port those checksums that it can write.
  bool checksum_offload;
  /// Packets say when they are to leave (TxSchedule); refused where the port cannot keep to it.
  bool send_on_timestamp = false;
  /// Mbufs of each rx queue that a worker may hold back.
  unsigned held_mbufs = 0;
  /// Unless it is any queue, all packets that are ever sent on a tx queue are of one pool and
  /// nobody else refers to them, which lets ports free them faster.
  PassingOn passing_on = PassingOn::kToAnyQueue;
};

/// Checksums that a port writes into packets that ask for it.
struct ChecksumOffload {
  bool ipv4;
  bool udp;
};

/// The speed that `link` tells of, in Mbit/s; 0 where it tells none.
uint32_t speed_mbps(const rte_eth_link& link) noexcept;

/// A configured and started port with its queues and mempools; stopped and closed at its end. One
/// that waits for its peer to be started (a client of net_memif) is left as it is when a stop is
/// requested meanwhile: then no queue of it may be used.
///
/// Every rx and every tx queue has a mempool of its own, so that no two lcores share one.
class Port {
 public:
  Port(const PortInfo& info, const PortConfig& config, const StopRequest& stop = no_stop());
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  uint16_t id() const noexcept { return port_id_; }
  uint16_t rx_queues() const noexcept { return static_cast<uint16_t>(rx_queues_.size()); }
  /// Bytes of the longest frame that it sends and receives.
  unsigned longest_frame() const noexcept { return mtu_ + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN; }
  std::array<uint8_t, 6> mac() const;

  // For what is made before a run begins. All of them throw a UsageError if there is no such queue.
  RxQueue& rx_queue(uint16_t queue);
  TxQueue& tx_queue(uint16_t queue);
  /// Returns to all pools what rests in this lcore's caches: another lcore polls the queues next.
  void flush_mempool_caches() const noexcept;
  /// The pool that packets of rx queue `queue` come from.
  rte_mempool* rx_pool(uint16_t queue);
  /// The pool for packets that a worker sends of its own on tx queue `queue`.
  rte_mempool* tx_pool(uint16_t queue);

  /// Which checksums the port writes into packets that ask for it: those that it was asked for and
  /// can.
  ChecksumOffload checksums() const noexcept { return checksums_; }

  /// Whether the port may deliver packets whose UDP checksum is still only the pseudo-header's sum:
  /// those that this host's own kernel sent, which never crossed a wire.
  bool may_deliver_partial_checksums() const noexcept { return partial_checksums_; }

  /// The NUMA node that it is on; SOCKET_ID_ANY where that is not known.
  int numa_node() const noexcept { return rte_eth_dev_socket_id(port_id_); }

  /// Waits until the link is up, at most `timeout`, or until a stop is requested; whether it is
  /// up.
  bool wait_for_link(std::chrono::milliseconds timeout, const StopRequest& stop = no_stop()) const;

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
  /// counters (`rte_eth_xstats`) that are not 0 and have names of losses (some count what was
  /// delivered all the same). Empty where the port does not say, or is gone.
  std::vector<Counter> counters() const;

  /// Packets that came in and reached no queue's user, by what the port says, since its start;
  /// nothing where it does not say, or is gone.
  std::optional<uint64_t> missed() const;

  /// Whether the port's device has been removed. Nothing that asks the device is known then. Makes
  /// system calls.
  bool is_removed() const noexcept { return removal_->is_noticed(); }

  /// The name of the driver.
  const char* driver() const noexcept { return info_.driver_name; }

 private:
  void require_send_on_timestamp() const;
  void configure(const PortConfig& config);
  void start(const StopRequest& stop) const;
  void set_up_queues(const PortConfig& config, const rte_eth_conf& conf);
  bool read_stats(rte_eth_stats& stats) const;

  uint16_t port_id_;
  uint16_t mtu_;
  rte_eth_dev_info info_;
  std::optional<rte_eth_stats> before_{rte_eth_stats{}};
  std::vector<Counter> xstats_before_;
  uint64_t delivered_before_ = 0;
  uint64_t accepted_before_ = 0;
  ChecksumOffload checksums_{};
  /// That the driver wants and nobody sends on.
  uint16_t unused_tx_queues_ = 0;
  bool partial_checksums_ = false;
  std::optional<Removal> removal_;
  /// Asked by one thread at a time.
  mutable PacketSockets sockets_;
  std::vector<Mempool> rx_pools_;
  std::vector<Mempool> tx_pools_;
  std::vector<RxQueue> rx_queues_;
  std::vector<TxQueue> tx_queues_;
};

}  // namespace dpdkproj
