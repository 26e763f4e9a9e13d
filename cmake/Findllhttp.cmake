# SPDX-License-Identifier: MIT
# Finds llhttp and defines llhttp::llhttp:
#  - the system's library, by its CMake package or by pkg-config; else
#  - the C sources that Debian's node-llhttp installs, as the object library
#    llhttp_objects; then llhttp::llhttp has only the include path, and the
#    objects are added by the user.
# llhttp_SOURCE_DIR may point to sources elsewhere (api.c, http.c, llhttp.c).
include(FindPackageHandleStandardArgs)

if(NOT TARGET llhttp::llhttp AND NOT llhttp_SOURCE_DIR)
  find_package(llhttp CONFIG QUIET)
  foreach(name llhttp::llhttp_shared llhttp::llhttp_static)
    if(TARGET ${name} AND NOT TARGET llhttp::llhttp)
      add_library(llhttp::llhttp INTERFACE IMPORTED)
      target_link_libraries(llhttp::llhttp INTERFACE ${name})
    endif()
  endforeach()
endif()

if(NOT TARGET llhttp::llhttp AND NOT llhttp_SOURCE_DIR)
  find_package(PkgConfig QUIET)
  if(PKG_CONFIG_FOUND)
    pkg_check_modules(LLHTTP QUIET IMPORTED_TARGET libllhttp)
  endif()
  if(TARGET PkgConfig::LLHTTP)
    add_library(llhttp::llhttp INTERFACE IMPORTED)
    target_link_libraries(llhttp::llhttp INTERFACE PkgConfig::LLHTTP)
  endif()
endif()

if(TARGET llhttp::llhttp)
  set(llhttp_FOUND TRUE)
  return()
endif()

find_path(llhttp_SOURCE_DIR api.c PATH_SUFFIXES share/llhttp NO_CACHE)
find_path(llhttp_INCLUDE_DIR llhttp.h
  HINTS "${llhttp_SOURCE_DIR}" "${llhttp_SOURCE_DIR}/../include"
  PATH_SUFFIXES llhttp share/include/llhttp)
find_package_handle_standard_args(llhttp
  REQUIRED_VARS llhttp_SOURCE_DIR llhttp_INCLUDE_DIR
  REASON_FAILURE_MESSAGE
  "(install libllhttp-dev where the system has it, or node-llhttp)")

if(llhttp_FOUND)
  add_library(llhttp::llhttp INTERFACE IMPORTED)
  target_include_directories(llhttp::llhttp INTERFACE "${llhttp_INCLUDE_DIR}")
  target_compile_definitions(llhttp::llhttp INTERFACE LLHTTP_STRICT_MODE=1)
  add_library(llhttp_objects OBJECT
    "${llhttp_SOURCE_DIR}/api.c"
    "${llhttp_SOURCE_DIR}/http.c"
    "${llhttp_SOURCE_DIR}/llhttp.c")
  # Generated code: its warnings aren't ours.
  target_compile_options(llhttp_objects PRIVATE -w)
  target_link_libraries(llhttp_objects PRIVATE llhttp::llhttp)
endif()
mark_as_advanced(llhttp_INCLUDE_DIR)
