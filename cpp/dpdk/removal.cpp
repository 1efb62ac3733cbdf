#include "dpdk/removal.hpp"

#include <rte_bus.h>
#include <rte_dev.h>
#include <unistd.h>

namespace dpdkproj {

namespace {

bool exists(const std::string& path) noexcept { return access(path.c_str(), F_OK) == 0; }

std::string path_of(const rte_device* device) {
  const rte_bus* bus = device == nullptr ? nullptr : rte_dev_bus(device);
  if (bus == nullptr) {
    return "";
  }
  const std::string path =
      std::string("/sys/bus/") + rte_bus_name(bus) + "/devices/" + rte_dev_name(device);
  return exists(path) ? path : "";
}

}  // namespace

Removal::Removal(uint16_t port_id, const rte_device* device)
    : port_id_(port_id), path_(path_of(device)) {
  // A failure does not matter: is_noticed() also asks the driver and the kernel.
  rte_eth_dev_callback_register(port_id_, RTE_ETH_EVENT_INTR_RMV, on_event, this);
}

Removal::~Removal() {
  rte_eth_dev_callback_unregister(port_id_, RTE_ETH_EVENT_INTR_RMV, on_event, this);
}

// Few drivers send the event, and few support rte_eth_dev_is_removed; sysfs covers every device
// that the kernel knows.
bool Removal::is_noticed() const noexcept {
  if (!noticed_ && (rte_eth_dev_is_removed(port_id_) != 0 || (!path_.empty() && !exists(path_)))) {
    noticed_ = true;
  }
  return noticed_;
}

int Removal::on_event(uint16_t /*port_id*/, rte_eth_event_type /*type*/, void* self,
                      void* /*result*/) {
  static_cast<Removal*>(self)->noticed_ = true;
  return 0;
}

}  // namespace dpdkproj
