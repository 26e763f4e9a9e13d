# SPDX-License-Identifier: MIT
# What is installed works without the tree.
set(prefix "${PROJECT_BINARY_DIR}/prefix")
set(package "${CMAKE_CURRENT_LIST_DIR}")
set(sanitize "")
if(DEWAR_SANITIZE)
  set(sanitize "-fsanitize=${DEWAR_SANITIZE}")
  if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    string(APPEND sanitize " -shared-libsan")
    get_filename_component(folder "${DEWAR_SANITIZER_RUNTIME}" DIRECTORY)
    string(APPEND sanitize " -Wl,-rpath,${folder}")
  endif()
endif()
separate_arguments(sanitize_list UNIX_COMMAND "${sanitize}")

dewar_test(package.install
  "${CMAKE_COMMAND}" --install "${PROJECT_BINARY_DIR}" --prefix "${prefix}")

dewar_test(package.pkg-config
  sh "${package}/pkgconfig.sh" "${prefix}" "${package}/host.c"
  "${PROJECT_BINARY_DIR}/spec/package-host" "${CMAKE_C_COMPILER}"
  ${sanitize_list})

dewar_test(package.cmake
  "${CMAKE_CTEST_COMMAND}" --build-and-test
  "${package}" "${PROJECT_BINARY_DIR}/spec/package"
  --build-generator "${CMAKE_GENERATOR}"
  --build-options "-DCMAKE_C_COMPILER=${CMAKE_C_COMPILER}"
    "-DCMAKE_C_FLAGS=${sanitize}" "-DCMAKE_PREFIX_PATH=${prefix}"
  --test-command host)

set(embed "${PROJECT_SOURCE_DIR}/examples/embed")
dewar_test(package.embed
  "${CMAKE_CTEST_COMMAND}" --build-and-test
  "${embed}" "${PROJECT_BINARY_DIR}/spec/package-embed"
  --build-generator "${CMAKE_GENERATOR}"
  --build-options "-DCMAKE_C_COMPILER=${CMAKE_C_COMPILER}"
    "-DCMAKE_C_FLAGS=${sanitize}" "-DCMAKE_PREFIX_PATH=${prefix}"
  --test-command embed --test "${embed}/app.lua")

dewar_test(package.lua "${DEWAR_WITH_TREE}" lua5.4 "${package}/stock.lua"
  "${prefix}/${DEWAR_LUA_LMOD}" "${prefix}/${DEWAR_LUA_CMOD}")

dewar_test(package.command "${prefix}/${CMAKE_INSTALL_BINDIR}/dewar" --version)
set_tests_properties(package.command PROPERTIES
  PASS_REGULAR_EXPRESSION "${PROJECT_VERSION}")

dewar_test(package.modules "${prefix}/${CMAKE_INSTALL_BINDIR}/dewar"
  routes "${package}/modules.lua")
set_tests_properties(package.modules PROPERTIES
  PASS_REGULAR_EXPRESSION "/loaded")

set_tests_properties(package.install PROPERTIES FIXTURES_SETUP prefix)
set_tests_properties(package.pkg-config package.cmake package.embed
  package.lua package.command package.modules PROPERTIES FIXTURES_REQUIRED prefix)
