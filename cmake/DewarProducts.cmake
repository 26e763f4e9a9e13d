# SPDX-License-Identifier: MIT
# The products, all of the same objects: libdewar, dewar/core.so, the command.
get_property(objects GLOBAL PROPERTY DEWAR_OBJECTS)

# dewar_exports(TARGET MAP): the linker keeps what the map names and hides the
# rest, llhttp included.
function(dewar_exports target map)
  if(UNIX AND NOT APPLE)
    target_link_options(${target} PRIVATE
      "LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/${map}")
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS
      "${PROJECT_SOURCE_DIR}/cmake/${map}")
  endif()
endfunction()

# libdewar, for C hosts.
add_library(dewar ${objects})
add_library(dewar::dewar ALIAS dewar)
target_include_directories(dewar PUBLIC
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
  "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
target_link_libraries(dewar PRIVATE ${DEWAR_LIBRARIES} PkgConfig::LUA)
set_target_properties(dewar PROPERTIES ${dewar_properties}
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}
  PUBLIC_HEADER "${PROJECT_SOURCE_DIR}/include/dewar.h"
  LINKER_LANGUAGE C
  ARCHIVE_OUTPUT_DIRECTORY "${DEWAR_LIB_DIR}"
  LIBRARY_OUTPUT_DIRECTORY "${DEWAR_LIB_DIR}")
if(BUILD_SHARED_LIBS)
  dewar_exports(dewar dewar.map)
  if(NOT APPLE)
    target_link_options(dewar PRIVATE LINKER:-Bsymbolic-functions)
  endif()
  if(NOT DEWAR_SANITIZE)
    target_link_options(dewar PRIVATE LINKER:--no-undefined)
  endif()
endif()

# The module of `require "dewar.core"`. No liblua in it: its functions are those
# of the interpreter that loads it.
add_library(dewar_lua MODULE ${objects})
target_link_libraries(dewar_lua PRIVATE ${DEWAR_LIBRARIES})
set_target_properties(dewar_lua PROPERTIES ${dewar_properties}
  PREFIX "" OUTPUT_NAME core SUFFIX .so
  LINKER_LANGUAGE C
  LIBRARY_OUTPUT_DIRECTORY "${DEWAR_CMOD_DIR}/dewar")
dewar_exports(dewar_lua core.map)
# It stays in memory when its Lua state closes: threads of libuv's pool may be
# in it, and sanitizers name its functions to the end.
if(UNIX AND NOT APPLE)
  target_link_options(dewar_lua PRIVATE LINKER:-z,nodelete)
endif()
if(APPLE)
  target_link_options(dewar_lua PRIVATE -undefined dynamic_lookup)
endif()

# The command, a Lua of its own: C modules that it requires find Lua's functions
# in it, so it exports them.
get_property(main GLOBAL PROPERTY DEWAR_MAIN)
add_executable(dewar_cli ${objects} ${main})
target_link_libraries(dewar_cli PRIVATE dewar_private ${DEWAR_LIBRARIES}
  PkgConfig::LUA ${CMAKE_DL_LIBS})
if(DEWAR_WITH_LIBEDIT)
  target_compile_definitions(dewar_cli PRIVATE DEWAR_WITH_LIBEDIT=1)
  target_link_libraries(dewar_cli PRIVATE PkgConfig::LIBEDIT)
endif()
set_target_properties(dewar_cli PROPERTIES ${dewar_properties}
  OUTPUT_NAME dewar
  ENABLE_EXPORTS ON
  RUNTIME_OUTPUT_DIRECTORY "${DEWAR_BIN_DIR}")

# For unit tests and fuzzers: every object, of which the linker takes what a
# test uses.
add_library(dewar_internal STATIC EXCLUDE_FROM_ALL ${objects})
target_link_libraries(dewar_internal
  PUBLIC dewar_private ${DEWAR_LIBRARIES} PkgConfig::LUA)
set_target_properties(dewar_internal PROPERTIES ${dewar_properties}
  LINKER_LANGUAGE C)
