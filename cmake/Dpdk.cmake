# The system's DPDK as one target, dpdkproj::dpdk: its shared libraries, with drivers as plugins that EAL loads at run
# time, or, on request, its archives with all of their drivers.
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

# Keeps the compile flags of DPDK's own build, -march among them, because its headers contain inline code for that
# instruction set. Its include directories are system directories, as those of all imported targets: its headers cause
# no warnings.
add_library(dpdkproj_dpdk INTERFACE)
add_library(dpdkproj::dpdk ALIAS dpdkproj_dpdk)
if(NOT DPDKPROJ_STATIC_DPDK)
  target_link_libraries(dpdkproj_dpdk INTERFACE PkgConfig::DPDK)
  return()
endif()

if(NOT EXISTS ${DPDK_LIBDIR}/librte_eal.a)
  message(FATAL_ERROR "DPDKPROJ_STATIC_DPDK: no librte_eal.a in ${DPDK_LIBDIR}: this DPDK has no archives; leave the option out")
endif()

# Like libdpdk.pc: whole archives, because drivers register themselves and nothing refers to them by name, then their
# dependencies. These include dependencies of shared libraries (systemd below libpcap, for example), which are not
# always installed and are omitted then. If one was needed after all, the linker reports it.
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
