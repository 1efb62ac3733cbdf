# Programs made of modes: ours, and those of other projects (dpdkproj-config.cmake includes this file, too).
include_guard(GLOBAL)

# dpdkproj_add_program(NAME SOURCES...): adds a program with the modes of this project and those that SOURCES register
# (RegisterMode in dataplane/mode.hpp). All modes share command line, statistics and output.
function(dpdkproj_add_program name)
  add_executable(${name} ${ARGN})
  target_compile_features(${name} PRIVATE cxx_std_20)
  # Links the whole archive: modes register themselves, and nothing refers to them by name.
  target_link_libraries(${name} PRIVATE dpdkproj::app $<LINK_LIBRARY:WHOLE_ARCHIVE,dpdkproj::modes>)
endfunction()
