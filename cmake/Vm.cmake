# Tests with the drivers of real NICs, in a virtual machine (scripts/tests/vm): label `vm`.
include_guard(GLOBAL)

set(vm_tests ${PROJECT_SOURCE_DIR}/scripts/tests/vm)

# Downloads the machine, so that the time limits of the others exclude that.
add_test(NAME vm.fetch COMMAND ${vm_tests}/fetch ${CMAKE_BINARY_DIR})
set_tests_properties(vm.fetch PROPERTIES LABELS vm TIMEOUT 900 SKIP_RETURN_CODE 77 FIXTURES_SETUP vm)

# Each needs both CPUs. The time limits are several times what a test takes, because emulation slows down with the host.
foreach(test IN ITEMS drivers doctor link persist setup-host checksums "unplug vfio" "unplug uio")
  separate_arguments(words UNIX_COMMAND "${test}")
  list(JOIN words - name)
  list(POP_FRONT words what)
  add_test(NAME vm.${name} COMMAND ${vm_tests}/${what}-test ${CMAKE_BINARY_DIR} ${words})
  # As for e2e: a case that is skipped must not hide another that fails.
  set_tests_properties(vm.${name} PROPERTIES LABELS vm TIMEOUT 600 RUN_SERIAL ON FIXTURES_REQUIRED vm
    SKIP_RETURN_CODE 77 SKIP_REGULAR_EXPRESSION "SKIPPED:.*all cases have ended")
endforeach()
