# SPDX-License-Identifier: MIT
# Without libFuzzer, each fuzzer is a test that is fed its corpus once:
# fuzz.NAME.
include("${CMAKE_CURRENT_LIST_DIR}/sources.cmake")
if(NOT DEWAR_BUILD_FUZZERS)
  add_library(replay OBJECT fuzz/replay.c)
  target_link_libraries(replay PRIVATE dewar_private)
  set_target_properties(replay PROPERTIES ${dewar_properties})
  foreach(file IN LISTS fuzzers)
    get_filename_component(target "${file}" NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" name "${target}")
    add_executable(${target} "fuzz/${file}" $<TARGET_OBJECTS:replay>)
    target_link_libraries(${target} PRIVATE dewar_internal)
    set_target_properties(${target} PROPERTIES ${dewar_properties}
      RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/spec")
    dewar_test(fuzz.${name} $<TARGET_FILE:${target}>
      "${PROJECT_SOURCE_DIR}/spec/fuzz/corpus/${name}")
    set_tests_properties(fuzz.${name} PROPERTIES ENVIRONMENT
      "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1")
  endforeach()
endif()
