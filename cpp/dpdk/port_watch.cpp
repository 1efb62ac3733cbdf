#include "dpdk/port_watch.hpp"

#include <rte_dev.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

#include "dpdk/sysfs.hpp"

namespace dpdkproj {

namespace {

constexpr std::array<rte_eth_event_type, 5> kEvents = {
    RTE_ETH_EVENT_INTR_RMV, RTE_ETH_EVENT_INTR_LSC, RTE_ETH_EVENT_ERR_RECOVERING,
    RTE_ETH_EVENT_RECOVERY_SUCCESS, RTE_ETH_EVENT_RECOVERY_FAILED};

bool exists(const std::string& path) noexcept { return access(path.c_str(), F_OK) == 0; }

bool is_down(uint16_t port_id) noexcept {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(port_id, &link) == 0 && link.link_status == RTE_ETH_LINK_DOWN;
}

}  // namespace

PortWatch::PortWatch(uint16_t port_id, const rte_device* device)
    : port_id_(port_id), path_(sysfs_path(device)) {
  // A failure does not matter: the link and the removal are also asked for.
  for (const rte_eth_event_type event : kEvents) {
    rte_eth_dev_callback_register(port_id_, event, on_event, this);
  }
  if (!path_.empty()) {
    device_name_ = rte_dev_name(device);
    rte_dev_event_callback_register(device_name_.c_str(), on_device_event, this);
  }
}

PortWatch::~PortWatch() {
  for (const rte_eth_event_type event : kEvents) {
    rte_eth_dev_callback_unregister(port_id_, event, on_event, this);
  }
  if (!device_name_.empty()) {
    // -EAGAIN: the callback is being called.
    while (rte_dev_event_callback_unregister(device_name_.c_str(), on_device_event, this) ==
           -EAGAIN) {
      std::this_thread::yield();
    }
  }
}

// Few drivers send the event, and few support rte_eth_dev_is_removed; sysfs covers every device
// that the kernel knows.
bool PortWatch::is_removed() const noexcept {
  if (!removed_ && (rte_eth_dev_is_removed(port_id_) != 0 || (!path_.empty() && !exists(path_)))) {
    removed_ = true;
  }
  return removed_;
}

bool PortWatch::is_link_down() const noexcept { return is_down(port_id_); }

int PortWatch::on_event(uint16_t port_id, rte_eth_event_type type, void* self, void* /*result*/) {
  auto& watch = *static_cast<PortWatch*>(self);
  switch (type) {
    case RTE_ETH_EVENT_INTR_RMV:
      watch.removed_ = true;
      break;
    case RTE_ETH_EVENT_INTR_LSC:
      if (is_down(port_id)) {
        watch.lost_link_ = true;
      }
      break;
    case RTE_ETH_EVENT_ERR_RECOVERING:
      watch.recovering_ = true;
      break;
    case RTE_ETH_EVENT_RECOVERY_FAILED:
      watch.failed_ = true;
      [[fallthrough]];
    case RTE_ETH_EVENT_RECOVERY_SUCCESS:
      watch.recovering_ = false;
      break;
    default:
      break;
  }
  return 0;
}

void PortWatch::on_device_event(const char* /*name*/, rte_dev_event_type type, void* self) {
  // Requests of vfio come this way; EAL's monitor of the kernel's events is not started.
  if (type == RTE_DEV_EVENT_REMOVE) {
    static_cast<PortWatch*>(self)->removal_requested_ = true;
  }
}

}  // namespace dpdkproj
