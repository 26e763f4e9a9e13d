# SPDX-License-Identifier: MIT
# The benchmark's driver, without measuring anything. Skipped without Python.
find_package(Python3 3.9 COMPONENTS Interpreter)
if(Python3_FOUND)
  dewar_test(bench.driver
    "${Python3_EXECUTABLE}" "${CMAKE_CURRENT_LIST_DIR}/driver_test.py")
endif()
