# The system's DPDK as one target: dpdkproj::dpdk. Its shared libraries, with drivers as plugins that EAL loads at run
# time; or, asked for, its archives with all of their drivers.
include_guard(GLOBAL)

option(DPDKPROJ_STATIC_DPDK
  "Link DPDK statically, all drivers included: faster per packet, needs no DPDK where it runs, cannot load drivers (-d)" OFF)

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
if(NOT DPDKPROJ_STATIC_DPDK)
  target_link_libraries(dpdkproj_dpdk INTERFACE PkgConfig::DPDK)
  return()
endif()

if(NOT EXISTS ${DPDK_LIBDIR}/librte_eal.a)
  message(FATAL_ERROR "DPDKPROJ_STATIC_DPDK: no librte_eal.a in ${DPDK_LIBDIR}: this DPDK has no archives; leave the option out")
endif()

# As libdpdk.pc says: archives as a whole, since drivers register themselves and nobody refers to them by name, and then
# what they need. It names what shared libraries depend on, too (systemd below libpcap, say), which is not always
# installed: that is left out. If it was needed after all, the linker says so.
set(items ${DPDK_STATIC_LDFLAGS})
set(needed ${DPDK_STATIC_LIBRARIES})
list(FILTER needed EXCLUDE REGEX "^:") # the archives
foreach(name IN LISTS needed)
  find_library(found ${name} HINTS ${DPDK_STATIC_LIBRARY_DIRS} ${CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES} NO_CACHE)
  if(NOT found)
    list(REMOVE_ITEM items -l${name})
  endif()
  unset(found)
endforeach()
target_link_libraries(dpdkproj_dpdk INTERFACE ${items})
target_include_directories(dpdkproj_dpdk SYSTEM INTERFACE ${DPDK_INCLUDE_DIRS})
target_compile_options(dpdkproj_dpdk INTERFACE ${DPDK_CFLAGS_OTHER})
