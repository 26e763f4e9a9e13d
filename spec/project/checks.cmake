# SPDX-License-Identifier: MIT
# Checks of the project itself: layers, headers, exported symbols, lint.
set(checks "${CMAKE_CURRENT_LIST_DIR}")
set(strict -Wall -Wextra -pedantic -Werror -fsyntax-only)

dewar_test(project.layers "${DEWAR_LUA}" scripts/layers)

dewar_test(project.luacheck "${DEWAR_LUACHECK}" -q --no-color . scripts/layers)

# The public header alone.
set(header "${PROJECT_SOURCE_DIR}/include/dewar.h")
dewar_test(project.header-c99
  "${CMAKE_C_COMPILER}" -std=c99 ${strict} -x c "${header}")
dewar_test(project.header-c++
  "${DEWAR_CXX}" -std=c++11 ${strict} -x c++ "${header}")

# Each internal header alone.
dewar_test(project.headers-alone
  sh "${checks}/headers-alone.sh" "${CMAKE_C_COMPILER}"
  ${LUA_CFLAGS} ${UV_CFLAGS}
  "-I$<JOIN:$<TARGET_PROPERTY:llhttp::llhttp,INTERFACE_INCLUDE_DIRECTORIES>, -I>")

# What the products export.
if(BUILD_SHARED_LIBS)
  dewar_test(project.symbols-libdewar sh "${checks}/symbols.sh" "${DEWAR_NM}"
    $<TARGET_FILE:dewar> "^dewar_" dewar_new)
endif()
dewar_test(project.symbols-core sh "${checks}/symbols.sh" "${DEWAR_NM}"
  $<TARGET_FILE:dewar_lua> "^luaopen_dewar_core$" luaopen_dewar_core)
dewar_test(project.core-without-liblua sh "${checks}/not-needed.sh"
  $<TARGET_FILE:dewar_lua> liblua)
