# SPDX-License-Identifier: MIT
# What people see, in a real browser. Skipped where there is none.
set(scripts blog pages progress reload)
if(DEWAR_WITH_WEBSOCKET)
  list(APPEND scripts chat websocket)
endif()
foreach(name IN LISTS scripts)
  dewar_test(browser.${name}
    sh "${CMAKE_CURRENT_LIST_DIR}/run.sh" "${PROJECT_BINARY_DIR}" ${name}.js)
  set_tests_properties(browser.${name} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()
