# `cmake --install`: installs the program, and what other projects need to build a program with further modes: headers,
# archives, and a package for find_package(dpdkproj).
include_guard(GLOBAL)

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/dpdkproj)
# In a separate directory, which becomes an include path of the user: headers include each other relative to it.
set(header_dir ${CMAKE_INSTALL_INCLUDEDIR}/dpdkproj)
set(archive_dir ${CMAKE_INSTALL_LIBDIR}/dpdkproj)

install(TARGETS dpdkproj RUNTIME)
install(PROGRAMS $<TARGET_FILE:udpbaseline> TYPE BIN)
# dpdkproj_bridge is a target of Corrosion: an archive that install(TARGETS) cannot handle.
install(TARGETS dpdkproj_app dpdkproj_modes dpdkproj_dataplane dpdkproj_ports dpdkproj_rs
  ARCHIVE DESTINATION ${archive_dir})
install(FILES $<TARGET_FILE:dpdkproj_bridge-static> DESTINATION ${archive_dir})

foreach(part IN ITEMS dataplane dpdk)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/cpp/${part} DESTINATION ${header_dir} FILES_MATCHING PATTERN *.hpp)
endforeach()
foreach(file IN ITEMS app.hpp descriptors.hpp main.cpp)
  install(FILES ${PROJECT_SOURCE_DIR}/cpp/${file} DESTINATION ${header_dir})
endforeach()
# The output directory of corrosion_add_cxxbridge().
install(DIRECTORY ${CMAKE_BINARY_DIR}/corrosion_generated/cxxbridge/dpdkproj_rs/include/ DESTINATION ${header_dir}
  FILES_MATCHING PATTERN *.h)

# The system libraries that Rust's standard library needs, as determined by Corrosion.
get_target_property(rust_needs dpdkproj_bridge-static INTERFACE_LINK_LIBRARIES)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/dpdkproj-config.cmake.in dpdkproj-config.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS header_dir archive_dir)
# Before 1.0, headers may change with each minor version.
write_basic_package_version_file(dpdkproj-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/dpdkproj-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/dpdkproj-config-version.cmake
  ${CMAKE_CURRENT_LIST_DIR}/Dpdk.cmake ${CMAKE_CURRENT_LIST_DIR}/Program.cmake
  DESTINATION ${package_dir})
