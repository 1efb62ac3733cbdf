#include "dpdk/sysfs.hpp"

#include <rte_bus.h>
#include <rte_dev.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

namespace dpdkproj {

std::string sysfs_path(const rte_device* device) {
  const rte_bus* bus = device == nullptr ? nullptr : rte_dev_bus(device);
  if (bus == nullptr) {
    return "";
  }
  const std::string path =
      std::string("/sys/bus/") + rte_bus_name(bus) + "/devices/" + rte_dev_name(device);
  return access(path.c_str(), F_OK) == 0 ? path : "";
}

bool has_msix(std::span<const uint8_t> config) noexcept {
  constexpr std::size_t kStatus = 0x06;
  constexpr uint8_t kHasCapabilities = 0x10;
  constexpr std::size_t kFirst = 0x34;
  constexpr uint8_t kMsix = 0x11;
  if (config.size() <= kFirst || (config[kStatus] & kHasCapabilities) == 0) {
    return false;
  }
  std::size_t at = config[kFirst];
  // A list that the device has made into a ring must end as well.
  for (std::size_t steps = 0; at != 0 && at + 1 < config.size() && steps < config.size(); ++steps) {
    if (config[at] == kMsix) {
      return true;
    }
    at = config[at + 1];
  }
  return false;
}

bool delivers_interrupts(const std::string& path) {
  std::error_code none;
  const std::filesystem::path driver = std::filesystem::read_symlink(path + "/driver", none);
  if (driver.filename() != "vfio-pci") {
    return true;
  }
  std::ifstream file(path + "/config", std::ios::binary);
  const std::vector<char> config{std::istreambuf_iterator<char>(file), {}};
  return has_msix({reinterpret_cast<const uint8_t*>(config.data()), config.size()});
}

}  // namespace dpdkproj
