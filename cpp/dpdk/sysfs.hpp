#pragma once

#include <cstdint>
#include <span>
#include <string>

struct rte_device;

namespace dpdkproj {

/// The folder in sysfs of a device that the kernel knows; empty for virtual devices.
std::string sysfs_path(const rte_device* device);

/// Whether `config`, the configuration space of a PCI device, lists the capability MSI-X. False if
/// it is cut off before that (the kernel shows users other than root only the first 64 bytes).
bool has_msix(std::span<const uint8_t> config) noexcept;

/// Whether EAL delivers the interrupts of the device in folder `path`. Under vfio, EAL tries MSI-X
/// unless told otherwise (`--vfio-intr`), does without where the device has none (e1000), and does
/// not tell the driver.
bool delivers_interrupts(const std::string& path);

}  // namespace dpdkproj
