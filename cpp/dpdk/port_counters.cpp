// What a port says of its packets: its own counters, and those of its queues.

#include <rte_ethdev.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "dpdk/port.hpp"

namespace dpdkproj {

namespace {

/// All xstats of the driver.
std::vector<Port::Counter> xstats(uint16_t port_id) {
  const int count = rte_eth_xstats_get(port_id, nullptr, 0);
  if (count <= 0) {
    return {};
  }
  const auto size = static_cast<unsigned>(count);
  std::vector<rte_eth_xstat> values(size);
  std::vector<rte_eth_xstat_name> names(size);
  if (rte_eth_xstats_get(port_id, values.data(), size) != count ||
      rte_eth_xstats_get_names(port_id, names.data(), size) != count) {
    return {};
  }
  std::vector<Port::Counter> counters;
  for (unsigned i = 0; i < size; ++i) {
    counters.emplace_back(names[i].name, values[i].value);
  }
  return counters;
}

/// Whether the name of an xstat suggests loss, such as ena's `pps_allowance_exceeded` and mlx5's
/// `rx_out_of_buffer`. Excludes the xstats names of the basic counters, which would be reported
/// twice.
bool tells_of_loss(std::string_view name) {
  constexpr std::array kBasic = {"rx_missed_errors", "rx_errors", "tx_errors",
                                 "rx_mbuf_allocation_errors"};
  constexpr std::array kWords = {"err",    "drop",          "discard", "miss", "exceed", "no_buf",
                                 "nombuf", "out_of_buffer", "full",    "busy", "fail",   "bad"};
  const auto is_in = [name](const char* word) { return name.find(word) != std::string_view::npos; };
  return std::ranges::find(kBasic, name) == kBasic.end() && std::ranges::any_of(kWords, is_in);
}

}  // namespace

uint64_t Port::delivered() const noexcept {
  uint64_t sum = 0;
  for (const RxQueue& queue : rx_queues_) {
    sum += queue.delivered();
  }
  return sum - delivered_before_;
}

uint64_t Port::flagged() const noexcept {
  uint64_t sum = 0;
  for (const RxQueue& queue : rx_queues_) {
    sum += queue.flagged();
  }
  return sum - flagged_before_;
}

uint64_t Port::accepted() const noexcept {
  uint64_t sum = 0;
  for (const TxQueue& queue : tx_queues_) {
    sum += queue.accepted();
  }
  return sum - accepted_before_;
}

void Port::begin_counting() {
  rte_eth_stats stats{};
  before_.reset();
  if (read_stats(stats)) {
    before_ = stats;
  }
  xstats_before_ = xstats(port_id_);
  flagged_before_ += flagged();
  delivered_before_ += delivered();
  accepted_before_ += accepted();
}

bool Port::read_stats(rte_eth_stats& stats) const {
  if (rte_eth_stats_get(port_id_, &stats) != 0) {
    return false;
  }
  stats.imissed += sockets_.dropped();
  return true;
}

std::optional<uint64_t> Port::missed() const {
  rte_eth_stats stats{};
  if (is_removed() || !read_stats(stats)) {
    return std::nullopt;
  }
  return stats.imissed + stats.ierrors + stats.rx_nombuf;
}

std::vector<Port::Counter> Port::counters() const {
  rte_eth_stats stats{};
  if (!before_ || is_removed() || !read_stats(stats)) {
    return {};
  }
  // Counters of some drivers decrease (when a VF comes and goes). The difference is then unknown;
  // report 0, not a negative number.
  const auto since = [](uint64_t now, uint64_t before) { return now - std::min(now, before); };
  std::vector<Counter> counters{{"imissed", since(stats.imissed, before_->imissed)},
                                {"ierrors", since(stats.ierrors, before_->ierrors)},
                                {"oerrors", since(stats.oerrors, before_->oerrors)},
                                {"rx_nombuf", since(stats.rx_nombuf, before_->rx_nombuf)}};
  if (verifies_) {
    counters.emplace_back("flagged_checksums", flagged());
  }
  for (const auto& [name, value] : xstats(port_id_)) {
    const auto before = std::ranges::find(xstats_before_, name, &Counter::first);
    if (before == xstats_before_.end() || !tells_of_loss(name)) {
      continue;
    }
    if (const uint64_t lost = since(value, before->second); lost != 0) {
      counters.emplace_back(name, lost);
    }
  }
  return counters;
}

}  // namespace dpdkproj
