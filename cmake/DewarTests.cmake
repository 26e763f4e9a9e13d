# SPDX-License-Identifier: MIT
# Kinds of tests. Each has a name of its own in ctest, and a time limit.
find_program(DEWAR_LUA lua5.4 REQUIRED)
find_program(DEWAR_BUSTED busted REQUIRED)
find_program(DEWAR_LUACHECK luacheck REQUIRED)
find_program(DEWAR_NM nm REQUIRED)
find_program(DEWAR_CXX NAMES c++ g++ clang++ REQUIRED)

set(DEWAR_TEST_TIMEOUT 360)

# The sanitizers' runtime comes first in a process that isn't instrumented
# itself, such as a stock lua5.4 that loads dewar/core.so.
set(DEWAR_PRELOAD "")
if(DEWAR_SANITIZE MATCHES "address")
  set(DEWAR_PRELOAD "${DEWAR_SANITIZER_RUNTIME}")
endif()
if(DEWAR_PRELOAD)
  add_library(unpreload MODULE "${PROJECT_SOURCE_DIR}/spec/support/unpreload.c")
  target_compile_options(unpreload PRIVATE -fno-sanitize=all)
  target_link_options(unpreload PRIVATE -fno-sanitize=all)
  set_target_properties(unpreload PROPERTIES PREFIX "" SUFFIX .so
    LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tools")
  string(APPEND DEWAR_PRELOAD " ${PROJECT_BINARY_DIR}/tools/unpreload.so")
endif()

# with-tree COMMAND... runs something with this build in front of everything
# installed: a stock lua5.4 finds Dewar's Lua files in the tree and core.so here.
# tools/ is in front of the PATH of what it runs.
configure_file(cmake/with-tree.in "${PROJECT_BINARY_DIR}/with-tree" @ONLY)
configure_file(cmake/lua5.4.in "${PROJECT_BINARY_DIR}/tools/lua5.4" @ONLY)
set(DEWAR_WITH_TREE "${PROJECT_BINARY_DIR}/with-tree")

# dewar_test(NAME COMMAND...): any command, run from the root of the tree.
function(dewar_test name)
  add_test(NAME ${name} COMMAND ${ARGN}
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES TIMEOUT ${DEWAR_TEST_TIMEOUT})
endfunction()

# dewar_unit_tests(FILE...): c/test_buffer.c is the test c.buffer.
function(dewar_unit_tests)
  foreach(file IN LISTS ARGN)
    get_filename_component(target "${file}" NAME_WE)
    string(REGEX REPLACE "^test_" "c." name "${target}")
    add_executable(${target} "${file}")
    target_link_libraries(${target} PRIVATE dewar_internal)
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/spec")
    set_target_properties(${target} PROPERTIES ${dewar_properties}
      RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/spec")
    dewar_test(${name} $<TARGET_FILE:${target}>)
    set_tests_properties(${name} PROPERTIES ENVIRONMENT
      "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1")
  endforeach()
endfunction()

# dewar_specs(FILE...): app/router_spec.lua is the test spec.app.router.
function(dewar_specs)
  foreach(file IN LISTS ARGN)
    string(REGEX REPLACE "_spec\\.lua$" "" name "${file}")
    string(REPLACE "/" "." name "spec.${name}")
    dewar_test(${name} ${DEWAR_WITH_TREE}
      lua5.4 "${DEWAR_BUSTED}" -o plainTerminal "spec/${file}")
  endforeach()
endfunction()
