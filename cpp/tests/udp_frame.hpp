#pragma once

#include <array>
#include <cstdint>

namespace dpdkproj {

/// A UDP over IPv4 frame without payload, to a unicast address. A reflector ignores checksums, so
/// they are 0.
inline constexpr std::array<uint8_t, 60> kFrame = {
    2,    0, 0, 0,  0, 2, 2,    0, 0,  0,  0, 1, 8,  0,                     // Ethernet
    0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,  // IPv4
    0,    7, 0, 9,  0, 8, 0,    0,                                          // UDP
};

}  // namespace dpdkproj
