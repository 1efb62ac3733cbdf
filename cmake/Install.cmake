# `cmake --install`, and the contents of Debian's packages (Package.cmake). Component runtime: the programs, and the commands
# of scripts/. Component development: what other projects need to build a program with further modes: headers, archives,
# and a package for find_package(dpdkproj).
include_guard(GLOBAL)

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/dpdkproj)
# In a separate directory, which becomes an include path of the user: headers include each other relative to it.
set(header_dir ${CMAKE_INSTALL_INCLUDEDIR}/dpdkproj)
set(archive_dir ${CMAKE_INSTALL_LIBDIR}/dpdkproj)

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME runtime)
install(TARGETS dpdkproj RUNTIME)
install(PROGRAMS $<TARGET_FILE:udpbaseline> TYPE BIN)

# Manual pages and completions. The programs write them when they are installed, because only they know their modes.
set(texts_dir ${CMAKE_BINARY_DIR}/installed-texts)
set(DPDKPROJ_ZSH_DIR ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING "Where zsh finds completions")
install(CODE "
  file(MAKE_DIRECTORY \"${texts_dir}\")
  function(dpdkproj_write program)
    foreach(text IN ITEMS man \"completions bash\" \"completions zsh\" \"completions fish\")
      separate_arguments(words UNIX_COMMAND \"\${text}\")
      list(GET words -1 kind)
      execute_process(COMMAND \${ARGN} \${words} OUTPUT_FILE \"${texts_dir}/\${program}.\${kind}\"
        COMMAND_ERROR_IS_FATAL ANY)
    endforeach()
  endfunction()
  dpdkproj_write(dpdkproj \"$<TARGET_FILE:dpdkproj>\" --)
  dpdkproj_write(udpbaseline \"$<TARGET_FILE:udpbaseline>\")
")
foreach(program IN ITEMS dpdkproj udpbaseline)
  install(FILES ${texts_dir}/${program}.man DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 RENAME ${program}.1)
  install(FILES ${texts_dir}/${program}.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
    RENAME ${program})
  install(FILES ${texts_dir}/${program}.zsh DESTINATION ${DPDKPROJ_ZSH_DIR} RENAME _${program})
  install(FILES ${texts_dir}/${program}.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endforeach()

# strip_installed(COMPONENT OPTIONS FILES...): `cmake --install --strip` for what is not a target of CMake, or an archive.
function(strip_installed component options)
  list(TRANSFORM ARGN PREPEND "\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/")
  list(JOIN ARGN "\" \"" files)
  install(CODE "if(CMAKE_INSTALL_DO_STRIP)
  execute_process(COMMAND \"${CMAKE_STRIP}\" ${options} \"${files}\" COMMAND_ERROR_IS_FATAL ANY)
endif()" COMPONENT ${component})
endfunction()
strip_installed(runtime "" ${CMAKE_INSTALL_BINDIR}/udpbaseline)

# Commands for people: scripts/NAME becomes dpdkproj-NAME. scripts/layout.py knows that they are here.
set(commands compare demo doctor find-rate plot report setup-host)
set(share_dir share/dpdkproj)
install(PROGRAMS ${PROJECT_SOURCE_DIR}/scripts/layout.py DESTINATION ${share_dir}/scripts)
foreach(name IN LISTS commands)
  install(PROGRAMS ${PROJECT_SOURCE_DIR}/scripts/${name} DESTINATION ${share_dir}/scripts)
  set(link ${CMAKE_BINARY_DIR}/commands/dpdkproj-${name})
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/commands)
  file(RELATIVE_PATH target /${CMAKE_INSTALL_BINDIR} /${share_dir}/scripts/${name})
  file(CREATE_LINK ${target} ${link} SYMBOLIC)
  install(FILES ${link} TYPE BIN)
endforeach()
foreach(part IN ITEMS comparelib doctorlib plotlib ratelib reportlib)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/scripts/${part} DESTINATION ${share_dir}/scripts PATTERN __pycache__ EXCLUDE)
endforeach()
# Their manual pages are what they print with --help where they are installed, in which they call each other by their names there.
find_program(HELP2MAN help2man DOC "Makes the manual pages of the commands")
if(HELP2MAN)
  list(JOIN commands " " command_words)
  install(CODE "execute_process(COMMAND \"${CMAKE_CURRENT_LIST_DIR}/command-manuals\" \"${HELP2MAN}\" \"${PROJECT_VERSION}\"
  \"\$ENV{DESTDIR}\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man1\"
  ${command_words} COMMAND_ERROR_IS_FATAL ANY)")
else()
  message(STATUS "No help2man: installs no manual pages of the commands dpdkproj-*")
endif()
install(FILES ${PROJECT_SOURCE_DIR}/data/eal-errors.tsv DESTINATION ${share_dir}/data)
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION share/doc/dpdkproj)
install(FILES ${PROJECT_SOURCE_DIR}/data/README.md ${PROJECT_SOURCE_DIR}/data/NUMBERS.md ${PROJECT_SOURCE_DIR}/data/summary.schema.json
    ${PROJECT_SOURCE_DIR}/data/trial.schema.json
  DESTINATION share/doc/dpdkproj/data)

# --- for other projects

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)
set(archives app modes dataplane ports rs bridge)
# dpdkproj_bridge is a target of Corrosion: an archive that install(TARGETS) cannot handle.
install(TARGETS dpdkproj_app dpdkproj_modes dpdkproj_dataplane dpdkproj_ports dpdkproj_rs
  ARCHIVE DESTINATION ${archive_dir})
install(FILES $<TARGET_FILE:dpdkproj_bridge-static> DESTINATION ${archive_dir})
list(TRANSFORM archives REPLACE "(.+)" "${archive_dir}/libdpdkproj_\\1.a")
# Symbols stay: they are what an archive is for.
strip_installed(development --strip-debug ${archives})

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

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME runtime)
