# `cpack -G DEB`, in the build folder: dpdkproj (what runs) and dpdkproj-dev (what other projects build with). The
# packages are for the Debian they are built on, because each Debian has its own DPDK.
include_guard(GLOBAL)

set(debian_dir ${CMAKE_CURRENT_LIST_DIR}/debian)
set(deb_dir ${CMAKE_BINARY_DIR}/package)

# --- drivers. EAL loads them at run time, so dpkg-shlibdeps does not see them. Those that are commonly needed: of clouds
# and of their VFs, of Intel's and Mellanox's NICs, and the virtual ones that this project is tested with. Others can be
# installed beside them. A DPDK that lacks one (22.11 has no mana) does without.

set(drivers net_af_packet net_af_xdp net_bond net_e1000 net_ena net_failsafe net_gve net_i40e net_iavf net_ice net_idpf net_igc
  net_ixgbe net_mana net_memif net_mlx4 net_mlx5 net_netvsc net_null net_pcap net_ring net_tap net_vdev_netvsc net_vhost
  net_virtio net_vmxnet3 bus_auxiliary bus_pci bus_vdev bus_vmbus mempool_ring mempool_stack)

# Names contain the version of the ABI, such as librte-net-ena23: asks dpkg which packages the installed drivers are from.
function(find_driver_packages result)
  foreach(driver IN LISTS drivers)
    file(GLOB plugin ${DPDK_LIBDIR}/dpdk/pmds-*/librte_${driver}.so.[0-9][0-9])
    list(APPEND plugins ${plugin})
  endforeach()
  if(plugins)
    execute_process(COMMAND dpkg-query --search ${plugins} OUTPUT_VARIABLE found ERROR_QUIET)
  endif()
  string(REGEX MATCHALL "(^|\n)[a-z0-9.+-]+" packages "${found}")
  list(TRANSFORM packages STRIP)
  list(REMOVE_DUPLICATES packages)
  set(${result} ${packages} PARENT_SCOPE)
endfunction()

if(NOT DPDKPROJ_STATIC_DPDK)
  find_driver_packages(driver_packages)
endif()

# --- the packages

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL runtime development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGE_DIRECTORY ${deb_dir})
set(CPACK_STRIP_FILES ON)
# Whatever the umask is.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# The version of an upgraded Debian is the higher one.
file(STRINGS /etc/os-release debian_version REGEX "^VERSION_ID=")
string(REGEX MATCH "[0-9]+" debian_version "${debian_version}")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1~deb${debian_version})

# As Debian's tools have it.
set(DPDKPROJ_MAINTAINER "" CACHE STRING "Maintainer of the packages: NAME <ADDRESS> [default: $DEBFULLNAME <$DEBEMAIL>]")
set(maintainer ${DPDKPROJ_MAINTAINER})
if(NOT maintainer AND DEFINED ENV{DEBEMAIL})
  set(maintainer "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
elseif(NOT maintainer)
  set(maintainer "The dpdkproj authors <dpdkproj@packages.invalid>")
endif()
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${maintainer})

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME dpdkproj)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION net)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
list(JOIN driver_packages ", " depends)
string(PREPEND depends "python3:any, ")
string(REGEX REPLACE ", $" "" CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS "${depends}")
# Of plot, report, find-rate and setup-host; drivers of mlx5 and mana without it find no device.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS
  "driverctl, ibverbs-providers, iproute2, libjs-dygraphs, python3-matplotlib, python3-numpy, python3-venv")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS "dpdk-dev, librte-meta-net")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${debian_dir}/prerm ${debian_dir}/postrm)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "measure rate, loss and latency of UDP over DPDK
Tells how many UDP packets per second a path really carries, where the
missing ones were lost, and how long each one took. One machine sends
packets at an exact rate, another one sends them back; every packet is
verified and accounted for.
.
It contains the programs dpdkproj (over DPDK) and udpbaseline (over kernel
sockets), and commands that prepare a host, search for the highest rate
without loss, and draw what was measured.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME dpdkproj-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
# Its archives contain inline functions of DPDK's headers: the release must be the same.
string(REGEX MATCH "^([0-9]+)\\.([0-9]+)" dpdk_release "${DPDK_VERSION}")
math(EXPR next "${CMAKE_MATCH_2} + 1")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "g++, pkgconf | pkg-config, libdpdk-dev (>= ${dpdk_release}), libdpdk-dev (<< ${CMAKE_MATCH_1}.${next}~)")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS cmake)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS dpdkproj)
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "build measuring programs with modes of their own
Headers, static libraries and a CMake package, find_package(dpdkproj), for
programs that have the modes of dpdkproj and further ones. All of them share
command line, statistics and output.")

# Manuals are compressed, and completions of zsh are where Debian's zsh looks for those of packages.
install(CODE "
  set(share \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share\")
  file(GLOB manuals \"\${share}/man/man1/*.1\")
  if(manuals)
    execute_process(COMMAND gzip --best --force --no-name \${manuals} COMMAND_ERROR_IS_FATAL ANY)
  endif()
  if(EXISTS \"\${share}/zsh/site-functions\")
    file(RENAME \"\${share}/zsh/site-functions\" \"\${share}/zsh/vendor-completions\")
  endif()" COMPONENT runtime EXCLUDE_FROM_ALL)

# --- what Debian wants in /usr/share/doc. Not part of `cmake --install`.

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
foreach(package IN ITEMS runtime development)
  string(TOUPPER ${package} PACKAGE)
  set(name ${CPACK_DEBIAN_${PACKAGE}_PACKAGE_NAME})
  set(version ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
  set(doc_dir ${deb_dir}/doc/${name})
  configure_file(${debian_dir}/changelog.in ${doc_dir}/changelog.Debian @ONLY)
  configure_file(${PROJECT_SOURCE_DIR}/CHANGELOG.md ${doc_dir}/changelog COPYONLY)
  foreach(file IN ITEMS changelog changelog.Debian)
    # Without the time, which would differ between builds.
    execute_process(COMMAND gzip --best --force --keep --no-name ${doc_dir}/${file})
  endforeach()
  install(FILES ${doc_dir}/changelog.gz ${doc_dir}/changelog.Debian.gz ${debian_dir}/copyright
    DESTINATION share/doc/${name} COMPONENT ${package} EXCLUDE_FROM_ALL)
endforeach()

# Crates are known when they have been built.
set(crates ${deb_dir}/doc/crates.gz)
foreach(package IN ITEMS runtime development)
  string(TOUPPER ${package} PACKAGE)
  install(CODE "execute_process(COMMAND \"${debian_dir}/crates\" \"${found_cargo}\" \"${rust_dir}/Cargo.toml\"
  \"${crates}\" dpdkproj-bridge udpbaseline COMMAND_ERROR_IS_FATAL ANY)" COMPONENT ${package} EXCLUDE_FROM_ALL)
  install(FILES ${crates} DESTINATION share/doc/${CPACK_DEBIAN_${PACKAGE}_PACKAGE_NAME} COMPONENT ${package} EXCLUDE_FROM_ALL)
endforeach()

include(CPack)
