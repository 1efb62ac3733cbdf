# Compiler settings for our own C++.

# Without a build type, CMake would compile hot loops with -O0, and Corrosion would use cargo's dev profile.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, RelWithDebInfo or Release" FORCE)
endif()

option(DPDKPROJ_NATIVE "Use all instructions of this machine's CPU: the program may not run on another" OFF)
option(DPDKPROJ_WERROR "Treat warnings as errors" OFF)
set(DPDKPROJ_SANITIZE "" CACHE STRING "Sanitizers for our C++, such as address,undefined")

# Warnings and sanitizers for one of our targets; not for generated code, DPDK or Rust.
function(dpdkproj_target target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor)
  if(DPDKPROJ_NATIVE)
    target_compile_options(${target} PRIVATE -march=native)
  endif()
  if(DPDKPROJ_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(DPDKPROJ_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${DPDKPROJ_SANITIZE}
                                             -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${DPDKPROJ_SANITIZE})
  endif()
endfunction()
