# The system's DPDK as one target: dpdkproj::dpdk. Linked dynamically; drivers are plugins that EAL loads at run time.
include_guard(GLOBAL)

set(dpdk_min 22.11) # Debian 12's

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(DPDK IMPORTED_TARGET libdpdk>=${dpdk_min})
endif()
if(NOT TARGET PkgConfig::DPDK)
  message(FATAL_ERROR
    "DPDK ${dpdk_min} or later was not found. On Debian: apt-get install pkg-config libdpdk-dev (or scripts/install-deps). "
    "A DPDK of your own: put the folder of its libdpdk.pc in PKG_CONFIG_PATH.")
endif()

# Compile flags stay as DPDK's own build says, -march among them: its headers hold inline code for that instruction set.
# Its include folders come as system folders, as those of imported targets do: warnings of its headers are not ours.
add_library(dpdkproj_dpdk INTERFACE)
add_library(dpdkproj::dpdk ALIAS dpdkproj_dpdk)
target_link_libraries(dpdkproj_dpdk INTERFACE PkgConfig::DPDK)
