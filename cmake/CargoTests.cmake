# Cargo's tests as ctest entries: label `rust` for unit tests of the crates, `e2e` for the whole program.
include_guard(GLOBAL)

# One target directory for both, separate from Corrosion's: another profile, and another lock.
set(cargo_test ${found_cargo} test --locked --target-dir ${CMAKE_BINARY_DIR}/cargo-test)

add_test(NAME rust COMMAND ${cargo_test} -p dpdkproj-core -p dpdkproj-bridge -p dpdkproj-sockets -p udpbaseline
  WORKING_DIRECTORY ${rust_dir})
set_tests_properties(rust PROPERTIES LABELS rust TIMEOUT 900 RESOURCE_LOCK cargo)

add_test(NAME scripts-fuzz COMMAND ${PROJECT_SOURCE_DIR}/scripts/fuzz 3)
set_tests_properties(scripts-fuzz PROPERTIES LABELS rust TIMEOUT 900)

# The tests of a file run sequentially (rust/e2e/build.rs), and no other test at the same time: they need both CPUs.
set(e2e_test ${cargo_test} -p dpdkproj-e2e)
set(e2e_environment DPDKPROJ_BIN=$<TARGET_FILE:dpdkproj>)

# Compiled by a separate test, so that the time limits of the others exclude compilation.
add_test(NAME e2e.build COMMAND ${e2e_test} --no-run WORKING_DIRECTORY ${rust_dir})
set_tests_properties(e2e.build PROPERTIES LABELS e2e TIMEOUT 900 RESOURCE_LOCK cargo
  ENVIRONMENT ${e2e_environment} FIXTURES_SETUP e2e)

file(GLOB e2e_files CONFIGURE_DEPENDS ${rust_dir}/e2e/tests/e2e/*.rs)
foreach(file IN LISTS e2e_files)
  cmake_path(GET file STEM name)
  add_test(NAME e2e.${name}
    COMMAND ${e2e_test} --test e2e e2e::${name}:: -- --nocapture
    WORKING_DIRECTORY ${rust_dir})
  # SKIP: requires "test result: ok", so that a skip does not hide a failure in the same file: ctest ignores the exit
  # code when it matches. FAIL: a file that tests/e2e.rs does not name.
  set_tests_properties(e2e.${name} PROPERTIES LABELS e2e TIMEOUT 300 RUN_SERIAL ON
    ENVIRONMENT ${e2e_environment} FIXTURES_REQUIRED e2e
    SKIP_REGULAR_EXPRESSION "SKIPPED:.*test result: ok" FAIL_REGULAR_EXPRESSION "running 0 tests")
endforeach()
