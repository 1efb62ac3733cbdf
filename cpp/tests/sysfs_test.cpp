#include "dpdk/sysfs.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace dpdkproj {
namespace {

using Config = std::array<uint8_t, 256>;

/// A configuration space with these capabilities: where each is, and its identifier.
Config config_with(const std::vector<std::pair<uint8_t, uint8_t>>& capabilities) {
  Config config{};
  std::size_t link = 0x34;
  for (const auto& [at, id] : capabilities) {
    config[0x06] = 0x10;
    config[link] = at;
    config[at] = id;
    link = at + 1U;
  }
  return config;
}

TEST(SysfsTest, FindsMsixAmongTheCapabilities) {
  EXPECT_FALSE(has_msix(config_with({}))) << "e1000";
  EXPECT_FALSE(has_msix(config_with({{0xc8, 0x01}, {0xd0, 0x05}})));
  const Config e1000e = config_with({{0xc8, 0x01}, {0xd0, 0x05}, {0xe0, 0x10}, {0xa0, 0x11}});
  EXPECT_TRUE(has_msix(e1000e));
  EXPECT_FALSE(has_msix(std::span(e1000e).first(64))) << "what users other than root may read";
  EXPECT_FALSE(has_msix({}));
}

TEST(SysfsTest, ACircularListOfCapabilitiesEnds) {
  Config config = config_with({{0x40, 0x01}, {0x50, 0x05}});
  config[0x51] = 0x40;
  EXPECT_FALSE(has_msix(config));
}

TEST(SysfsTest, OnlyVfioNeedsMsix) {
  const std::filesystem::path folder = "/tmp/dpdkproj-unit-" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  const auto is_delivered = [&folder](const char* driver, const Config& config) {
    std::filesystem::remove(folder / "driver");
    std::filesystem::create_symlink(driver, folder / "driver");
    std::ofstream(folder / "config", std::ios::binary)
        .write(reinterpret_cast<const char*>(config.data()), config.size());
    return delivers_interrupts(folder);
  };
  const Config msix = config_with({{0x40, 0x11}});
  EXPECT_TRUE(is_delivered("../drivers/vfio-pci", msix));
  EXPECT_FALSE(is_delivered("../drivers/vfio-pci", config_with({})));
  EXPECT_TRUE(is_delivered("../drivers/uio_pci_generic", config_with({})));
  std::filesystem::remove_all(folder);
  EXPECT_TRUE(delivers_interrupts("")) << "a virtual device";
}

}  // namespace
}  // namespace dpdkproj
