// meddle: forwards packets between two ports and changes some of them, as hosts and devices on a
// path do. The end-to-end tests put it between a sender on the first port and a reflector on the
// second one. All of its queues belong to one lcore.

#include <rte_ip.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "dataplane/dataplane.hpp"
#include "dataplane/mode.hpp"
#include "dpdk/error.hpp"

namespace dpdkproj {
namespace {

constexpr uint16_t kTag = 4;
constexpr uint16_t kTypes = 2 * RTE_ETHER_ADDR_LEN;

uint16_t be16(const uint8_t* at) noexcept { return static_cast<uint16_t>(at[0] << 8U | at[1]); }

void set_be16(uint8_t* at, std::size_t value) noexcept {
  at[0] = static_cast<uint8_t>(value >> 8U);
  at[1] = static_cast<uint8_t>(value);
}

bool is_tag(uint16_t type) noexcept {
  return type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ;
}

/// A UDP packet and the offsets of its headers.
struct Packet {
  rte_mbuf& mbuf;
  uint8_t* data;
  uint16_t ip;
  uint16_t udp;
  bool is_v6;

  /// Nothing if it is no UDP packet in one segment.
  static std::optional<Packet> of(rte_mbuf& mbuf) noexcept {
    auto* const data = rte_pktmbuf_mtod(&mbuf, uint8_t*);
    uint16_t type = kTypes;
    while (mbuf.data_len >= type + 4 + 40 && is_tag(be16(data + type))) {
      type = static_cast<uint16_t>(type + kTag);
    }
    const auto ip = static_cast<uint16_t>(type + 2);
    const bool is_v6 = be16(data + type) == RTE_ETHER_TYPE_IPV6;
    const auto udp = static_cast<uint16_t>(ip + (is_v6 ? 40 : 20));
    const bool has_room = mbuf.nb_segs == 1 && mbuf.data_len >= udp + 8;
    if (!has_room || (!is_v6 && be16(data + type) != RTE_ETHER_TYPE_IPV4) ||
        data[ip + (is_v6 ? 6 : 9)] != IPPROTO_UDP) {
      return std::nullopt;
    }
    return Packet{mbuf, data, ip, udp, is_v6};
  }

  uint16_t payload_len() const noexcept { return static_cast<uint16_t>(be16(data + udp + 4) - 8); }
  uint8_t* source() const noexcept { return data + ip + (is_v6 ? 8 : 12); }
  uint8_t* destination() const noexcept { return source() + address_len(); }
  /// The last byte of an address.
  uint8_t& host(uint8_t* address) const noexcept { return address[address_len() - 1]; }
  uint8_t& hops() const noexcept { return data[ip + (is_v6 ? 7 : 8)]; }

  void set_class(uint8_t mask, uint8_t bits) const noexcept {
    if (is_v6) {
      const auto was = static_cast<uint8_t>(be16(data + ip) >> 4U);
      const unsigned now = (was & ~mask) | bits;
      set_be16(data + ip, 6U << 12U | now << 4U | (data[ip + 1] & 0xfU));
    } else {
      data[ip + 1] = static_cast<uint8_t>((data[ip + 1] & ~mask) | bits);
    }
  }

  void sum_ip() const noexcept {
    if (!is_v6) {
      auto* const header = reinterpret_cast<rte_ipv4_hdr*>(data + ip);
      header->hdr_checksum = 0;
      header->hdr_checksum = rte_ipv4_cksum(header);
    }
  }

  void sum_all() const noexcept {
    sum_ip();
    auto* const header = reinterpret_cast<rte_udp_hdr*>(data + udp);
    header->dgram_cksum = 0;
    header->dgram_cksum =
        is_v6 ? rte_ipv6_udptcp_cksum(reinterpret_cast<rte_ipv6_hdr*>(data + ip), header)
              : rte_ipv4_udptcp_cksum(reinterpret_cast<rte_ipv4_hdr*>(data + ip), header);
  }

 private:
  uint16_t address_len() const noexcept { return is_v6 ? 16 : 4; }
};

/// How many bytes are added or removed.
constexpr uint16_t kBytes = 8;

void pad(const Packet& packet, bool /*forth*/) noexcept {
  char* const more = rte_pktmbuf_append(&packet.mbuf, kBytes);
  std::memset(more, 0xee, kBytes);
}

void cut(const Packet& packet, bool /*forth*/) noexcept { rte_pktmbuf_trim(&packet.mbuf, kBytes); }

void shorten(const Packet& packet, bool forth) noexcept {
  const std::size_t udp_len = packet.payload_len();  // with a header, without kBytes
  static_assert(kBytes == sizeof(rte_udp_hdr));
  set_be16(packet.data + packet.udp + 4, udp_len);
  set_be16(packet.data + packet.ip + (packet.is_v6 ? 4 : 2), udp_len + (packet.is_v6 ? 0 : 20));
  cut(packet, forth);
  packet.sum_all();
}

void retag(const Packet& packet, bool /*forth*/) noexcept { packet.data[kTypes + 3] ^= 1U; }

void reprioritise(const Packet& packet, bool /*forth*/) noexcept {
  packet.data[kTypes + 2] ^= 0xe0U;
}

void untag(const Packet& packet, bool /*forth*/) noexcept {
  std::memmove(packet.data + kTag, packet.data, kTypes);
  rte_pktmbuf_adj(&packet.mbuf, kTag);
}

void tag(const Packet& packet, bool /*forth*/) noexcept {
  char* const data = rte_pktmbuf_prepend(&packet.mbuf, kTag);
  std::memmove(data, data + kTag, kTypes);
  std::memcpy(data + kTypes, "\x81\x00\x00\x09", kTag);
}

/// A NAT in front of the sender.
void nat(const Packet& packet, bool forth) noexcept {
  uint8_t& host = packet.host(forth ? packet.source() : packet.destination());
  uint8_t* const port = packet.data + packet.udp + (forth ? 0 : 2);
  host ^= 0x40U;
  port[0] ^= 0x80U;
  packet.sum_all();
}

void readdress(const Packet& packet, bool forth) noexcept {
  packet.host(forth ? packet.destination() : packet.source()) ^= 0x40U;
}

void elsewhere(const Packet& packet, bool forth) noexcept {
  readdress(packet, forth);
  packet.sum_all();
}

void clear_checksum(const Packet& packet, bool /*forth*/) noexcept {
  set_be16(packet.data + packet.udp + 6, 0);
}

void stale_ttl(const Packet& packet, bool /*forth*/) noexcept {
  packet.hops() = static_cast<uint8_t>(packet.hops() - 5);
}

void ttl(const Packet& packet, bool forth) noexcept {
  stale_ttl(packet, forth);
  packet.sum_ip();
}

void last_hop(const Packet& packet, bool /*forth*/) noexcept {
  packet.hops() = 1;
  packet.sum_ip();
}

/// CS1 (RFC 2474); the ECN field stays.
void tos(const Packet& packet, bool /*forth*/) noexcept {
  packet.set_class(0xfc, 8U << 2U);
  packet.sum_ip();
}

/// CE (RFC 3168); the DSCP stays.
void congestion(const Packet& packet, bool /*forth*/) noexcept {
  packet.set_class(0x3, 0x3);
  packet.sum_ip();
}

void flip(const Packet& packet, bool /*forth*/) noexcept {
  packet.data[packet.udp + 8 + packet.payload_len() - 1] ^= 1U;
}

struct Change {
  std::string_view name;
  void (*apply)(const Packet& packet, bool forth) noexcept;
};

constexpr Change kChanges[] = {{"pad", pad},
                               {"cut", cut},
                               {"shorten", shorten},
                               {"retag", retag},
                               {"reprioritise", reprioritise},
                               {"untag", untag},
                               {"tag", tag},
                               {"nat", nat},
                               {"readdress", readdress},
                               {"elsewhere", elsewhere},
                               {"clear-checksum", clear_checksum},
                               {"ttl", ttl},
                               {"stale-ttl", stale_ttl},
                               {"last-hop", last_hop},
                               {"tos", tos},
                               {"congestion", congestion},
                               {"flip", flip},
                               // Done by the worker itself.
                               {"duplicate", nullptr}};

/// What to change.
struct Plan {
  const Change& change;
  /// One of so many packets.
  uint64_t every;
  /// Only packets with so many bytes of payload; 0: all.
  uint64_t size;
};

/// Forwards one rx queue to the tx queue of the other port with the same number, and copies to
/// `other_tx`.
class alignas(2 * RTE_CACHE_LINE_SIZE) Meddle final {
 public:
  Meddle(const QueueOfRun& from, TxQueue& tx, TxQueue& other_tx, rust::Box<rs::Tally> tally,
         const Plan& plan, bool forth, bool changes)
      : rx_(from.rx()),
        tx_(tx),
        other_tx_(other_tx),
        pool_(from.port().rx_pool(from.queue)),
        tally_(std::move(tally)),
        plan_(plan),
        forth_(forth),
        changes_(changes) {}

  void poll(uint64_t now_ns) noexcept {
    rx_.receive(burst_);
    rs::Polled polled{.received = burst_.size};
    copies_.size = 0;
    for (uint16_t i = 0; changes_ && i < burst_.size; ++i) {
      meddle_with(*burst_.mbufs[i]);
    }
    const auto offered = static_cast<uint16_t>(burst_.size + copies_.size);
    polled.sent = static_cast<uint16_t>(tx_.send(burst_) + other_tx_.send(copies_));
    polled.refused = static_cast<uint16_t>(offered - polled.sent);
    tally_->add(now_ns, polled, {});
  }

 private:
  void meddle_with(rte_mbuf& mbuf) noexcept {
    const std::optional<Packet> packet = Packet::of(mbuf);
    if (!packet || (plan_.size != 0 && packet->payload_len() != plan_.size) ||
        ++seen_ % plan_.every != 0) {
      return;
    }
    if (plan_.change.apply != nullptr) {
      plan_.change.apply(*packet, forth_);
    } else {
      copies_.mbufs[copies_.size++] = rte_pktmbuf_copy(&mbuf, pool_, 0, UINT32_MAX);
    }
  }

  RxQueue& rx_;
  TxQueue& tx_;
  TxQueue& other_tx_;
  rte_mempool* pool_;
  rust::Box<rs::Tally> tally_;
  Plan plan_;
  bool forth_;
  bool changes_;
  uint64_t seen_ = 0;
  Burst burst_;
  Burst copies_;
};

void run(Dataplane& dataplane) {
  const ModeOptions options = dataplane.mode_options();
  const std::string how = options.text("how");
  const auto* const change = std::ranges::find(kChanges, how, &Change::name);
  if (change == std::end(kChanges)) {
    throw UsageError("--how " + how + ": unknown");
  }
  const Plan plan{*change, options.number("every"), options.number("size")};
  const std::string way = options.text("way");
  const std::vector<QueueOfRun> queues = dataplane.rx_queues();
  const std::size_t half = queues.size() / 2;
  std::vector<Meddle> workers;
  for (const QueueOfRun& from : queues) {
    const bool forth = from.number < half;
    const QueueOfRun& to = queues[(from.number + half) % queues.size()];
    const QueueOfRun& other = queues[(forth ? half : 0) + (from.queue + 1U) % half];
    workers.emplace_back(from, to.tx(), other.tx(), rs::new_tally(dataplane.session(), from.number),
                         plan, forth, way == "both" || (way == "forth") == forth);
  }
  dataplane.run_workers(std::move(workers));
}

const RegisterMode kMode({.name = "meddle",
                          .about = "Forward between two ports, and change some of the packets",
                          // With copies, it sends more than it receives.
                          .meaning = rs::Meaning::Counts,
                          .queues = rs::Queues::Mixed,
                          .needs_link = false,
                          .run = run,
                          .options = {
                              {.name = "how", .kind = rs::OptionKind::Text, .value_name = "CHANGE"},
                              {.name = "every",
                               .kind = rs::OptionKind::Number,
                               .value_name = "N",
                               .help = "Change one of N packets",
                               .default_value = "4",
                               .min = 1},
                              {.name = "size",
                               .kind = rs::OptionKind::Number,
                               .value_name = "BYTES",
                               .help = "Change only packets with this payload; 0: all",
                               .default_value = "0"},
                              {.name = "way",
                               .kind = rs::OptionKind::Text,
                               .value_name = "forth|back|both",
                               .default_value = "both"}}});

}  // namespace
}  // namespace dpdkproj
