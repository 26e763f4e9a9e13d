# SPDX-License-Identifier: MIT
# What `cmake --install` puts where, and how others find it.
include(CMakePackageConfigHelpers)

install(TARGETS dewar EXPORT dewarTargets
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  PUBLIC_HEADER DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS dewar_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(TARGETS dewar_lua LIBRARY DESTINATION "${DEWAR_LUA_CMOD}/dewar")
# Lua files: lua/CMakeLists.txt. Here: CMake package and pkg-config.

set(cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/dewar")
install(EXPORT dewarTargets NAMESPACE dewar:: DESTINATION "${cmake_dir}")
configure_package_config_file(cmake/dewarConfig.cmake.in
  "${PROJECT_BINARY_DIR}/dewarConfig.cmake"
  INSTALL_DESTINATION "${cmake_dir}"
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/dewarConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/dewarConfig.cmake"
  "${PROJECT_BINARY_DIR}/dewarConfigVersion.cmake"
  DESTINATION "${cmake_dir}")

# The .pc file tells the prefix from where it lies, so that
# `cmake --install --prefix` and a moved tree work.
function(pc_path var path)
  if(IS_ABSOLUTE "${path}")
    set(${var} "${path}" PARENT_SCOPE)
  else()
    set(${var} "\${prefix}/${path}" PARENT_SCOPE)
  endif()
endfunction()
set(pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(IS_ABSOLUTE "${pc_dir}")
  set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH up "/${pc_dir}" "/")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pc_prefix "\${pcfiledir}/${up}")
endif()
pc_path(pc_libdir "${CMAKE_INSTALL_LIBDIR}")
pc_path(pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
pc_path(pc_lmod "${DEWAR_LUA_LMOD}")
pc_path(pc_cmod "${DEWAR_LUA_CMOD}")
# dewar.h needs no other header; only a static libdewar needs other libraries.
if(BUILD_SHARED_LIBS)
  set(pc_more "")
else()
  set(pc_more "${DEWAR_PC_LIBS}\nRequires: ${DEWAR_PC_REQUIRES}")
endif()
configure_file(cmake/dewar.pc.in dewar.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/dewar.pc" DESTINATION "${pc_dir}")
