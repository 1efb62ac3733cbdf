# Checks of the sources as ctest entries, and the tests of scripts/. Each can be run by hand, too: scripts/tests/NAME.
# If a tool is missing, it prints "SKIPPED: no TOOL", and ctest counts it as skipped.
include_guard(GLOBAL)

set(scripts_tests ${PROJECT_SOURCE_DIR}/scripts/tests)

foreach(lint IN ITEMS "cpp format" "cpp tidy" "rust format" "rust clippy" "rust doc" scripts rules fleet)
  separate_arguments(words UNIX_COMMAND "${lint}")
  list(JOIN words - name)
  list(POP_FRONT words what)
  add_test(NAME lint-${name} COMMAND ${scripts_tests}/lint-${what} ${words} ${CMAKE_BINARY_DIR})
  set_tests_properties(lint-${name} PROPERTIES LABELS lint SKIP_RETURN_CODE 77 TIMEOUT 900)
endforeach()
# These share a target directory with the tests of CargoTests.cmake.
set_tests_properties(lint-rust-clippy lint-rust-doc PROPERTIES RESOURCE_LOCK cargo)

add_test(NAME scripts-setup-host COMMAND ${scripts_tests}/setup-host-test)
add_test(NAME scripts-doctor COMMAND ${scripts_tests}/doctor-test)
add_test(NAME scripts-build COMMAND ${scripts_tests}/build-test)
add_test(NAME scripts-plot COMMAND ${scripts_tests}/plot-test)
add_test(NAME scripts-bench COMMAND ${scripts_tests}/bench-test)
add_test(NAME scripts-completions COMMAND ${scripts_tests}/completions-test ${CMAKE_BINARY_DIR})
add_test(NAME scripts-man COMMAND ${scripts_tests}/man-test ${CMAKE_BINARY_DIR})
set_tests_properties(scripts-plot scripts-bench PROPERTIES SKIP_REGULAR_EXPRESSION "No module named '(numpy|matplotlib)")
set_tests_properties(scripts-completions scripts-man PROPERTIES LABELS unit TIMEOUT 60 SKIP_RETURN_CODE 77)
# A shell that is not there is a skip only if the others pass.
set_tests_properties(scripts-completions PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED:.*ok: ")
set_tests_properties(scripts-setup-host scripts-doctor scripts-build scripts-plot scripts-bench PROPERTIES LABELS unit TIMEOUT 300)

add_test(NAME scripts-report COMMAND ${scripts_tests}/report-test)
set_tests_properties(scripts-report PROPERTIES LABELS unit TIMEOUT 300 SKIP_RETURN_CODE 77
  SKIP_REGULAR_EXPRESSION "No module named '(numpy|matplotlib)")

add_test(NAME scripts-notebook COMMAND ${scripts_tests}/notebook-test ${CMAKE_BINARY_DIR})
set_tests_properties(scripts-notebook PROPERTIES LABELS unit TIMEOUT 300 SKIP_RETURN_CODE 77)

# Builds in build/, as rebuild and others do.
add_test(NAME scripts-demo COMMAND ${scripts_tests}/demo-test)
set_tests_properties(scripts-demo PROPERTIES LABELS e2e RUN_SERIAL TRUE TIMEOUT 300 SKIP_RETURN_CODE 77)

# Both install MLRsearch into the same virtual environment; the second searches over memif, in less than a minute.
add_test(NAME scripts-find-rate COMMAND ${scripts_tests}/find-rate-test ${CMAKE_BINARY_DIR})
add_test(NAME scripts-find-rate-memif COMMAND ${scripts_tests}/find-rate-memif-test ${CMAKE_BINARY_DIR})
set_tests_properties(scripts-find-rate scripts-find-rate-memif PROPERTIES LABELS unit TIMEOUT 300 SKIP_RETURN_CODE 77
  RESOURCE_LOCK find-rate-venv)
set_tests_properties(scripts-find-rate-memif PROPERTIES LABELS e2e RUN_SERIAL TRUE)
# Another implementation of HdrHistogram reads the histograms of our JSON.
add_test(NAME scripts-hdr COMMAND ${scripts_tests}/hdr-test ${CMAKE_BINARY_DIR})
add_test(NAME scripts-metrics COMMAND ${scripts_tests}/metrics-test ${CMAKE_BINARY_DIR})
set_tests_properties(scripts-hdr scripts-metrics PROPERTIES LABELS e2e RUN_SERIAL TRUE TIMEOUT 300 SKIP_RETURN_CODE 77)

# Debian's packages; in a chroot with label package. That of another Debian is built there, which takes as long as a first
# build.
add_test(NAME scripts-deb COMMAND ${scripts_tests}/deb-test ${CMAKE_BINARY_DIR})
set_tests_properties(scripts-deb PROPERTIES LABELS unit TIMEOUT 300 SKIP_RETURN_CODE 77)
foreach(suite IN ITEMS bookworm trixie)
  add_test(NAME package-${suite} COMMAND ${scripts_tests}/package-test ${CMAKE_BINARY_DIR} ${suite})
  set_tests_properties(package-${suite} PROPERTIES LABELS package RUN_SERIAL TRUE TIMEOUT 3600 SKIP_RETURN_CODE 77)
endforeach()

# The commands of README.md.
add_test(NAME scripts-readme COMMAND ${scripts_tests}/readme-test ${CMAKE_BINARY_DIR})
set_tests_properties(scripts-readme PROPERTIES LABELS e2e RUN_SERIAL TRUE TIMEOUT 300 SKIP_RETURN_CODE 77)

# Network namespaces as hosts.
add_test(NAME scripts-fleet COMMAND ${scripts_tests}/fleet-test ${CMAKE_BINARY_DIR})
set_tests_properties(scripts-fleet PROPERTIES LABELS e2e RUN_SERIAL TRUE TIMEOUT 300 SKIP_RETURN_CODE 77)
add_test(NAME scripts-fleet-report COMMAND ${scripts_tests}/fleet-report-test)
set_tests_properties(scripts-fleet-report PROPERTIES LABELS unit TIMEOUT 300)
add_test(NAME scripts-fleet-pairs COMMAND ${scripts_tests}/fleet-pairs-test)
set_tests_properties(scripts-fleet-pairs PROPERTIES LABELS unit TIMEOUT 60)
add_test(NAME scripts-fleet-inventory COMMAND ${scripts_tests}/fleet-inventory-test)
set_tests_properties(scripts-fleet-inventory PROPERTIES LABELS unit TIMEOUT 60 SKIP_RETURN_CODE 77)
# Simulated hosts.
add_test(NAME scripts-fleet-scale COMMAND ${scripts_tests}/fleet-scale-test ${CMAKE_BINARY_DIR})
set_tests_properties(scripts-fleet-scale PROPERTIES LABELS e2e RUN_SERIAL TRUE TIMEOUT 300 SKIP_RETURN_CODE 77)

# Short runs over network namespaces; without root, only what needs none.
add_test(NAME scripts-compare COMMAND ${scripts_tests}/compare-test ${CMAKE_BINARY_DIR})
set_tests_properties(scripts-compare PROPERTIES LABELS e2e RUN_SERIAL TRUE TIMEOUT 300
  SKIP_REGULAR_EXPRESSION "No module named '(numpy|matplotlib)|OK \\(skipped")

# These build in this directory, where nothing else may build at the same time.
foreach(name IN ITEMS rebuild outside static-dpdk)
  add_test(NAME scripts-${name} COMMAND ${scripts_tests}/${name}-test ${CMAKE_BINARY_DIR})
  set_tests_properties(scripts-${name} PROPERTIES LABELS unit RUN_SERIAL TRUE TIMEOUT 300)
endforeach()
set_tests_properties(scripts-static-dpdk PROPERTIES LABELS e2e SKIP_RETURN_CODE 77)
