# The Rust half as one target: dpdkproj::rs, with <dpdkproj_rs/ffi.h> and <rust/cxx.h>.
include_guard(GLOBAL)

set(rust_dir ${PROJECT_SOURCE_DIR}/rust)

# --- Rust itself, checked here because Corrosion would fail later and say less

file(STRINGS ${rust_dir}/Cargo.toml rust_min REGEX "^rust-version")
string(REGEX MATCH "[0-9.]+" rust_min "${rust_min}")
# Searches in the same order as Corrosion: the user's setting, PATH, rustup's default directory.
foreach(tool IN ITEMS rustc cargo)
  find_program(found_${tool} ${tool} PATHS $ENV{HOME}/.cargo/bin NO_CACHE)
endforeach()
if(DEFINED CACHE{Rust_COMPILER})
  set(found_rustc $CACHE{Rust_COMPILER})
endif()
if(DEFINED CACHE{Rust_CARGO})
  set(found_cargo $CACHE{Rust_CARGO})
endif()
set(rustc_says "no rustc")
if(found_rustc AND found_cargo)
  execute_process(COMMAND ${found_rustc} --version OUTPUT_VARIABLE rustc_says ERROR_VARIABLE rustc_says)
endif()
if(NOT rustc_says MATCHES "rustc ([0-9.]+)" OR CMAKE_MATCH_1 VERSION_LESS rust_min)
  string(STRIP "${rustc_says}" rustc_says)
  message(FATAL_ERROR "Rust ${rust_min} or later was not found (${rustc_says}). scripts/install-deps installs it or says how.")
endif()

# Runs cargo without the environment that an outer cargo sets for a build script (rust/e2e/build.rs): its compiler,
# wrapper (clippy's, for example) and flags are not meant for this build, and waiting for a target directory that it has
# locked would never end.
set(cargo_wrapper ${CMAKE_BINARY_DIR}/cargo-inner)
file(CONFIGURE OUTPUT ${cargo_wrapper} NEWLINE_STYLE UNIX @ONLY CONTENT [[
#!/bin/sh
unset CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR CARGO_BUILD_TARGET RUSTC RUSTC_WORKSPACE_WRAPPER
# The generator of the bridge runs for milliseconds: optimising it takes longer than all its runs.
if [ "$1" = install ]; then export CARGO_PROFILE_RELEASE_OPT_LEVEL=0; fi
exec "@found_cargo@" "$@"
]])
file(CHMOD ${cargo_wrapper} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(Rust_CARGO ${cargo_wrapper})

# Corrosion 0.5.0 cannot parse the output of current rustup. Without rustup support, it takes rustc and cargo from PATH.
set(Rust_RESOLVE_RUSTUP_TOOLCHAINS OFF CACHE BOOL "Let Corrosion choose among rustup's toolchains")

# --- Corrosion: installed; else Debian's package, in the build folder; else the release, from source

set(corrosion_version 0.5.2)
set(corrosion_sha256 6bc02411e29183a896aa60c58db6819ec6cf57c08997481d0b0da9029356b529)
set(corrosion_package ${CMAKE_BINARY_DIR}/corrosion-package)
set(corrosion_tar ${CMAKE_BINARY_DIR}/corrosion-${corrosion_version}.tar.gz)

# Requests no version, because packages carry wrong ones. What matters is the command.
find_package(Corrosion CONFIG QUIET)
if(COMMAND corrosion_add_cxxbridge)
  set(corrosion_from "${Corrosion_DIR}")
endif()

# A source directory given by the user (offline, for example) takes precedence over a download; so does a release that
# was already downloaded.
if(NOT corrosion_from AND NOT FETCHCONTENT_SOURCE_DIR_CORROSION AND NOT EXISTS ${corrosion_tar})
  execute_process(
    COMMAND ${PROJECT_SOURCE_DIR}/scripts/fetch-corrosion ${corrosion_package}
    RESULT_VARIABLE failed ERROR_VARIABLE why OUTPUT_QUIET)
  if(failed)
    string(STRIP "${why}" why)
    message(STATUS "Corrosion: no package (${why}); trying its release")
  else()
    find_package(Corrosion CONFIG QUIET PATHS ${corrosion_package}/usr NO_DEFAULT_PATH)
    if(COMMAND corrosion_add_cxxbridge)
      set(corrosion_from "Debian's package, in ${corrosion_package}")
    endif()
  endif()
endif()

if(NOT corrosion_from)
  if(EXISTS ${corrosion_tar})
    file(SHA256 ${corrosion_tar} found_sha256)
  endif()
  # FetchContent would retry an impossible download for a minute and fill the screen.
  if(NOT FETCHCONTENT_SOURCE_DIR_CORROSION AND NOT found_sha256 STREQUAL corrosion_sha256)
    file(DOWNLOAD https://github.com/corrosion-rs/corrosion/archive/refs/tags/v${corrosion_version}.tar.gz
      ${corrosion_tar} STATUS failed INACTIVITY_TIMEOUT 20 TLS_VERIFY ON)
    list(POP_FRONT failed code)
    if(code)
      file(REMOVE ${corrosion_tar})
      message(FATAL_ERROR
        "No Corrosion: none is installed, Debian's package could not be fetched (above), nor release ${corrosion_version} "
        "(${failed}). Install the package corrosion (Debian 13), or unpack a release and give its folder with "
        "-DFETCHCONTENT_SOURCE_DIR_CORROSION=...")
    endif()
  endif()
  include(FetchContent)
  FetchContent_Declare(Corrosion
    URL ${corrosion_tar} URL_HASH SHA256=${corrosion_sha256} DOWNLOAD_EXTRACT_TIMESTAMP OFF)
  FetchContent_MakeAvailable(Corrosion)
  set(corrosion_from "its source, in ${corrosion_SOURCE_DIR}")
endif()
message(STATUS "Corrosion: ${corrosion_from}")

# --- the crate with the bridge, and build/udpbaseline, a program without C++

# Corrosion reads the version of cxx only when CMake configures.
set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY
  CMAKE_CONFIGURE_DEPENDS ${rust_dir}/Cargo.toml ${rust_dir}/Cargo.lock)

corrosion_import_crate(MANIFEST_PATH ${rust_dir}/Cargo.toml CRATES dpdkproj-bridge udpbaseline LOCKED)
if(DPDKPROJ_NATIVE)
  corrosion_add_target_local_rustflags(dpdkproj_bridge -Ctarget-cpu=native)
  corrosion_add_target_local_rustflags(udpbaseline -Ctarget-cpu=native)
endif()

# The generator, cxxbridge, is built once per build directory, and not at all if PATH or ~/.cargo/bin has the same
# version: cargo install cxxbridge-cmd --version <cxx in Cargo.lock>.
corrosion_add_cxxbridge(dpdkproj_rs CRATE dpdkproj_bridge FILES ffi.rs)
add_library(dpdkproj::rs ALIAS dpdkproj_rs)
target_compile_features(dpdkproj_rs PUBLIC cxx_std_20)
# Disables warnings for generated code and its headers.
target_compile_options(dpdkproj_rs PRIVATE -w)
set_target_properties(dpdkproj_rs PROPERTIES SYSTEM TRUE CXX_CLANG_TIDY "")
