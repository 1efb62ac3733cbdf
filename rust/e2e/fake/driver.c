// Stands between the program and DPDK (LD_PRELOAD) and makes of a virtual port what none is:
//
//   FAKE_RX_STEP=N      receives only multiples of N, as drivers with vector instructions do
//   FAKE_SEGMENT=N      receives at most N bytes into an mbuf, and the rest into further ones; with
//                       0, as the port does; says in the end how many packets took several
//   FAKE_CHECKSUMS=...  offers and writes the checksums named: "ipv4", "udp", "ipv4 udp"; with
//                       "vlan", offers to insert VLAN tags, and would not
//   FAKE_WAITING=N      tells that N packets wait in each rx queue
//   FAKE_DRIVER=NAME    says that this is its name; as net_mana, it insists on rules for queues
//   FAKE_RSS=N          takes an RSS key of 40 bytes, and spreads to the first N queues
//   FAKE_REMOVED=FILE   is removed when FILE is there, and takes a minute to be stopped then
//   FAKE_SAYS=TEXT      logs TEXT when it is configured
//   FAKE_REFUSES=1      refuses to be configured

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_log.h>
#include <rte_udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REAL(function) ((__typeof__(function)*)dlsym(RTLD_NEXT, #function))

static eth_rx_burst_t real_rx;
static eth_tx_burst_t real_tx;
static uint16_t rx_step = 1;
static uint16_t segment;
static uint64_t in_several;
static uint64_t configured;

static uint8_t rss_key[40];

static bool offers(const char* checksum) {
  const char* offered = getenv("FAKE_CHECKSUMS");
  return offered != NULL && strstr(offered, checksum) != NULL;
}

static uint64_t offloads(void) {
  return (offers("ipv4") ? RTE_ETH_TX_OFFLOAD_IPV4_CKSUM : 0) |
         (offers("udp") ? RTE_ETH_TX_OFFLOAD_UDP_CKSUM : 0) |
         (offers("vlan") ? RTE_ETH_TX_OFFLOAD_VLAN_INSERT : 0);
}

static uint32_t fake_waiting(void* queue) {
  (void)queue;
  return (uint32_t)atoi(getenv("FAKE_WAITING"));
}

static void require(bool holds, const char* what) {
  if (!holds) {
    fprintf(stderr, "fake driver: %s\n", what);
    abort();
  }
}

// Puts what is behind the first `segment` bytes into further mbufs, and nothing right where it was.
static void split(struct rte_mbuf* mbuf) {
  char* data = rte_pktmbuf_mtod(mbuf, char*);
  const uint16_t len = mbuf->data_len;
  struct rte_mbuf* last = mbuf;
  mbuf->data_len = RTE_MIN(len, segment);
  for (uint16_t at = mbuf->data_len; at < len; at = (uint16_t)(at + last->data_len)) {
    last->next = rte_pktmbuf_alloc(mbuf->pool);
    last = last->next;
    require(last != NULL, "no mbuf for a segment");
    const uint16_t part = RTE_MIN(segment, (uint16_t)(len - at));
    memcpy(rte_pktmbuf_append(last, part), data + at, part);
    ++mbuf->nb_segs;
  }
  memset(data + mbuf->data_len, 0xee, len - mbuf->data_len);
}

static uint16_t fake_rx(void* queue, struct rte_mbuf** mbufs, uint16_t count) {
  const uint16_t received = real_rx(queue, mbufs, (uint16_t)(count - count % rx_step));
  for (uint16_t i = 0; i < received; ++i) {
    if (segment != 0 && mbufs[i]->nb_segs == 1) {
      split(mbufs[i]);
    }
    if (mbufs[i]->nb_segs > 1) {
      __atomic_fetch_add(&in_several, 1, __ATOMIC_RELAXED);
    }
  }
  return received;
}

// Questions to the reflector, which ask the port for nothing: see rust/core/src/wire/control.rs.
static bool is_question(struct rte_mbuf* mbuf) {
  static const uint8_t magic[] = {0xff, 0xf6, 'd', 'p', 'd', 'k', 'p', 'q'};
  return mbuf->data_len > 42 + sizeof(magic) &&
         memcmp(rte_pktmbuf_mtod_offset(mbuf, char*, 42), magic, sizeof(magic)) == 0;
}

// What rte_mbuf_core.h says of PKT_TX_IP_CKSUM and PKT_TX_UDP_CKSUM, to the letter.
static void write_checksums(struct rte_mbuf* mbuf) {
  if (is_question(mbuf)) {
    require(mbuf->ol_flags == 0, "a question asked for something");
    return;
  }
  const bool ipv4 = (mbuf->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0;
  const bool udp = (mbuf->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM;
  require(ipv4 == ((configured & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0) &&
              udp == ((configured & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0),
          "asked for other checksums than configured");
  require((mbuf->ol_flags & RTE_MBUF_F_TX_IPV4) != 0, "RTE_MBUF_F_TX_IPV4 is not set");
  require(mbuf->l2_len == 14 && mbuf->l3_len == 20, "l2_len and l3_len are not set");
  struct rte_ipv4_hdr* ip = rte_pktmbuf_mtod_offset(mbuf, struct rte_ipv4_hdr*, mbuf->l2_len);
  struct rte_udp_hdr* header = (struct rte_udp_hdr*)((char*)ip + mbuf->l3_len);
  if (ipv4) {
    require(ip->hdr_checksum == 0, "the IPv4 checksum is not 0");
    ip->hdr_checksum = rte_ipv4_cksum(ip);
  }
  if (udp) {
    require(header->dgram_cksum == rte_ipv4_phdr_cksum(ip, 0), "no sum of the pseudo-header");
    header->dgram_cksum = 0;
    header->dgram_cksum = rte_ipv4_udptcp_cksum(ip, header);
  }
}

static uint16_t fake_tx(void* queue, struct rte_mbuf** mbufs, uint16_t count) {
  for (uint16_t i = 0; i < count && configured != 0; ++i) {
    write_checksums(mbufs[i]);
  }
  return real_tx(queue, mbufs, count);
}

int rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info* info) {
  const int result = REAL(rte_eth_dev_info_get)(port, info);
  info->tx_offload_capa |= offloads();
  if (getenv("FAKE_DRIVER") != NULL) {
    info->driver_name = getenv("FAKE_DRIVER");
  }
  if (getenv("FAKE_RSS") != NULL) {
    info->hash_key_size = sizeof(rss_key);
  }
  return result;
}

int rte_eth_dev_configure(uint16_t port, uint16_t rx, uint16_t tx,
                          const struct rte_eth_conf* conf) {
  const char* name = getenv("FAKE_DRIVER");
  if (name != NULL && strcmp(name, "net_mana") == 0) {
    require(rx == tx && (rx & (rx - 1)) == 0, "numbers of queues");
  }
  if (getenv("FAKE_SAYS") != NULL) {
    rte_log(RTE_LOG_NOTICE, RTE_LOGTYPE_USER1, "%s\n", getenv("FAKE_SAYS"));
  }
  if (getenv("FAKE_REFUSES") != NULL) {
    return -EINVAL;
  }
  struct rte_eth_conf plain = *conf;
  configured = plain.txmode.offloads & offloads();
  plain.txmode.offloads &= ~offloads();
  if (getenv("FAKE_RSS") != NULL) {
    struct rte_eth_rss_conf* rss = &plain.rx_adv_conf.rss_conf;
    require(rss->rss_key != NULL && rss->rss_key_len == sizeof(rss_key), "no RSS key");
    memcpy(rss_key, rss->rss_key, sizeof(rss_key));
    rss->rss_key = NULL;
    rss->rss_key_len = 0;
  }
  return REAL(rte_eth_dev_configure)(port, rx, tx, &plain);
}

int rte_eth_dev_rss_hash_conf_get(uint16_t port, struct rte_eth_rss_conf* rss) {
  if (getenv("FAKE_RSS") == NULL) {
    return REAL(rte_eth_dev_rss_hash_conf_get)(port, rss);
  }
  memcpy(rss->rss_key, rss_key, sizeof(rss_key));
  rss->rss_key_len = sizeof(rss_key);
  rss->rss_hf = RTE_ETH_RSS_NONFRAG_IPV4_UDP;
  return 0;
}

int rte_eth_dev_rss_reta_query(uint16_t port, struct rte_eth_rss_reta_entry64* table,
                               uint16_t size) {
  if (getenv("FAKE_RSS") == NULL) {
    return REAL(rte_eth_dev_rss_reta_query)(port, table, size);
  }
  for (int i = 0; i < size; ++i) {
    struct rte_eth_rss_reta_entry64* group = &table[i / RTE_ETH_RETA_GROUP_SIZE];
    require(group->mask == UINT64_MAX, "not all of the redirection table is asked for");
    group->reta[i % RTE_ETH_RETA_GROUP_SIZE] = (uint16_t)(i % atoi(getenv("FAKE_RSS")));
  }
  return 0;
}

int rte_eth_tx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors, unsigned int socket,
                           const struct rte_eth_txconf* conf) {
  struct rte_eth_txconf plain = *conf;
  plain.offloads &= ~offloads();
  return REAL(rte_eth_tx_queue_setup)(port, queue, descriptors, socket, &plain);
}

int rte_eth_dev_start(uint16_t port) {
  const int result = REAL(rte_eth_dev_start)(port);
  struct rte_eth_fp_ops* ops = &rte_eth_fp_ops[port];
  const char* step = getenv("FAKE_RX_STEP");
  const char* most = getenv("FAKE_SEGMENT");
  if (step != NULL) {
    rx_step = (uint16_t)atoi(step);
  }
  if (most != NULL) {
    segment = (uint16_t)atoi(most);
  }
  if (step != NULL || most != NULL) {
    real_rx = ops->rx_pkt_burst;
    ops->rx_pkt_burst = fake_rx;
  }
  if (getenv("FAKE_WAITING") != NULL) {
    ops->rx_queue_count = fake_waiting;
  }
  if (offloads() != 0) {
    real_tx = ops->tx_pkt_burst;
    ops->tx_pkt_burst = fake_tx;
  }
  return result;
}

static bool is_removed(void) {
  const char* file = getenv("FAKE_REMOVED");
  return file != NULL && access(file, F_OK) == 0;
}

int rte_eth_dev_is_removed(uint16_t port) {
  return is_removed() ? 1 : REAL(rte_eth_dev_is_removed)(port);
}

int rte_eth_dev_stop(uint16_t port) {
  if (is_removed()) {
    sleep(60);
  }
  if (getenv("FAKE_SEGMENT") != NULL) {
    fprintf(stderr, "fake driver: %llu packets in several segments\n",
            (unsigned long long)in_several);
  }
  return REAL(rte_eth_dev_stop)(port);
}
