# SPDX-License-Identifier: MIT
# Finds what Dewar is built on: Lua, libuv, llhttp.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

pkg_check_modules(UV REQUIRED IMPORTED_TARGET "libuv>=1.44")

# Lua has no standard name in pkg-config.
pkg_search_module(LUA REQUIRED IMPORTED_TARGET
  "lua5.4>=5.4.4" "lua-5.4>=5.4.4" "lua54>=5.4.4" "lua>=5.4.4")
if(NOT LUA_VERSION MATCHES "^5\\.4")
  message(FATAL_ERROR "Dewar needs Lua 5.4, found ${LUA_VERSION}")
endif()
set(DEWAR_LUA_VERSION 5.4)
set(DEWAR_LUA_PC "${LUA_MODULE_NAME}")
# Only the headers: dewar/core.so takes Lua's functions from the interpreter.
add_library(dewar_lua_headers INTERFACE)
target_include_directories(dewar_lua_headers SYSTEM INTERFACE
  ${LUA_INCLUDE_DIRS})

find_package(llhttp REQUIRED)
if(TARGET llhttp_objects)
  set_target_properties(llhttp_objects PROPERTIES ${dewar_properties})
  dewar_objects(llhttp_objects)
  set(DEWAR_LLHTTP_EMBEDDED ON)
else()
  set(DEWAR_LLHTTP_EMBEDDED OFF)
endif()

target_link_libraries(dewar_private INTERFACE
  PkgConfig::UV llhttp::llhttp dewar_lua_headers)

# What each product links beside its objects.
set(DEWAR_LIBRARIES PkgConfig::UV Threads::Threads m)
set(DEWAR_PC_REQUIRES "libuv >= 1.44, ${DEWAR_LUA_PC} >= 5.4.4")
set(DEWAR_PC_LIBS "-pthread -lm") # those that pkg-config doesn't know
set(DEWAR_OPTIONAL_MODULES "")
if(NOT DEWAR_LLHTTP_EMBEDDED)
  list(APPEND DEWAR_LIBRARIES llhttp::llhttp)
  string(APPEND DEWAR_PC_REQUIRES ", libllhttp")
endif()

# dewar_optional(NAME WHAT MODULE VERSION): a part that needs the library that
# pkg-config knows as MODULE. DEWAR_WITH_NAME is on where that is found, an
# error where it is on and nothing is found, and defined in C where it is on.
macro(dewar_optional name what module version)
  pkg_check_modules(${name} QUIET IMPORTED_TARGET "${module}>=${version}")
  option(DEWAR_WITH_${name} "Build with ${what}" ${${name}_FOUND})
  if(DEWAR_WITH_${name})
    if(NOT ${name}_FOUND)
      message(FATAL_ERROR "DEWAR_WITH_${name} needs ${module} >= ${version}")
    endif()
    target_compile_definitions(dewar_private INTERFACE DEWAR_WITH_${name}=1)
    target_link_libraries(dewar_private INTERFACE PkgConfig::${name})
    list(APPEND DEWAR_LIBRARIES PkgConfig::${name})
    string(APPEND DEWAR_PC_REQUIRES ", ${module} >= ${version}")
    list(APPEND DEWAR_OPTIONAL_MODULES "${name}=${module}>=${version}")
  endif()
endmacro()

dewar_optional(OPENSSL "signing (OpenSSL)" libcrypto 3.0)
dewar_optional(ZLIB "compressed sessions and answers (zlib)" zlib 1.2)
dewar_optional(BROTLI "answers compressed by brotli" libbrotlienc 1.0)

# WebSocket frames. wslay comes with a package of CMake's; it stands on the two
# above, for its handshake and for compressed messages.
find_package(wslay QUIET)
set(websocket OFF)
if(TARGET wslay AND DEWAR_WITH_OPENSSL AND DEWAR_WITH_ZLIB)
  set(websocket ON)
endif()
option(DEWAR_WITH_WEBSOCKET "Build with WebSocket (wslay)" ${websocket})
if(DEWAR_WITH_WEBSOCKET)
  if(NOT websocket)
    message(FATAL_ERROR
      "DEWAR_WITH_WEBSOCKET needs wslay, DEWAR_WITH_OPENSSL and DEWAR_WITH_ZLIB")
  endif()
  target_compile_definitions(dewar_private INTERFACE DEWAR_WITH_WEBSOCKET=1)
  target_link_libraries(dewar_private INTERFACE wslay)
  list(APPEND DEWAR_LIBRARIES wslay)
  string(APPEND DEWAR_PC_LIBS " -lwslay")
endif()

# Editing of lines in `dewar shell`: for the command alone.
pkg_check_modules(LIBEDIT QUIET IMPORTED_TARGET "libedit>=3.0")
option(DEWAR_WITH_LIBEDIT "Build the command with line editing (libedit)"
  ${LIBEDIT_FOUND})
if(DEWAR_WITH_LIBEDIT AND NOT LIBEDIT_FOUND)
  message(FATAL_ERROR "DEWAR_WITH_LIBEDIT needs libedit >= 3.0")
endif()
