# SPDX-License-Identifier: MIT
# How everything is compiled, and dewar_layer, which compiles a layer once.
include(CheckIPOSupported)

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# What every source of the project sees: include paths, warnings, visibility.
add_library(dewar_private INTERFACE)
target_include_directories(dewar_private INTERFACE
  "${PROJECT_SOURCE_DIR}"
  "${PROJECT_SOURCE_DIR}/include"
  "${PROJECT_SOURCE_DIR}/runtime")
target_compile_options(dewar_private INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wwrite-strings
  $<$<BOOL:${DEWAR_WERROR}>:-Werror>)
set(dewar_properties
  C_STANDARD 11
  C_STANDARD_REQUIRED ON
  C_EXTENSIONS ON
  C_VISIBILITY_PRESET hidden
  POSITION_INDEPENDENT_CODE ON)

if(DEWAR_SANITIZE)
  add_compile_options(-fsanitize=${DEWAR_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DEWAR_SANITIZE})
  if(DEWAR_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  # dewar/core.so is loaded by a lua that isn't instrumented: the sanitizer's
  # runtime is a shared library, which the tests preload.
  if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    set(runtime libclang_rt.asan-${CMAKE_SYSTEM_PROCESSOR}.so)
  else()
    set(runtime libasan.so)
  endif()
  execute_process(
    COMMAND "${CMAKE_C_COMPILER}" -print-file-name=${runtime}
    OUTPUT_VARIABLE DEWAR_SANITIZER_RUNTIME OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(CMAKE_C_COMPILER_ID MATCHES "Clang" AND NOT DEWAR_BUILD_FUZZERS)
    get_filename_component(folder "${DEWAR_SANITIZER_RUNTIME}" DIRECTORY)
    add_link_options(-shared-libsan "LINKER:-rpath,${folder}")
    set(CMAKE_INSTALL_RPATH "${folder}")
  endif()
elseif(DEWAR_HARDEN)
  add_compile_options(-fstack-protector-strong
    $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>)
  add_link_options(LINKER:-z,relro,-z,now)
endif()

if(DEWAR_BUILD_FUZZERS)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "DEWAR_BUILD_FUZZERS needs clang (libFuzzer): "
      "configure with CC=clang, or use the preset `fuzz`")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(DEWAR_LTO)
  check_ipo_supported(LANGUAGES C)
  list(APPEND dewar_properties INTERPROCEDURAL_OPTIMIZATION ON)
endif()

# dewar_layer(NAME SOURCE...): an object library whose objects go into every
# product.
function(dewar_layer name)
  add_library(${name} OBJECT ${ARGN})
  target_link_libraries(${name} PRIVATE dewar_private)
  set_target_properties(${name} PROPERTIES ${dewar_properties})
  dewar_objects(${name})
endfunction()

# dewar_objects(TARGET): adds an object library to what every product contains.
function(dewar_objects name)
  set_property(GLOBAL APPEND PROPERTY DEWAR_OBJECTS
    "$<TARGET_OBJECTS:${name}>")
endfunction()

# dewar_main(FILE...): the command's own sources.
function(dewar_main)
  foreach(file IN LISTS ARGN)
    set_property(GLOBAL APPEND PROPERTY DEWAR_MAIN
      "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  endforeach()
endfunction()
