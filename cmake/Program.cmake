# Programs made of modes: ours, and those of other projects (dpdkproj-config.cmake includes this, too).
include_guard(GLOBAL)

# dpdkproj_add_program(NAME SOURCES...): a program that has the modes of this project and those that SOURCES register
# (RegisterMode in dataplane/mode.hpp), with the same command line, statistics and output for all.
function(dpdkproj_add_program name)
  add_executable(${name} ${ARGN})
  target_compile_features(${name} PRIVATE cxx_std_20)
  # As a whole: modes register themselves, and nobody refers to them by name.
  target_link_libraries(${name} PRIVATE dpdkproj::app $<LINK_LIBRARY:WHOLE_ARCHIVE,dpdkproj::modes>)
endfunction()
