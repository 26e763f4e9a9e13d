# SPDX-License-Identifier: MIT
# Targets that look at the sources: format, format-check, tidy. What they say is
# advice, not a test.
find_program(DEWAR_CLANG_FORMAT NAMES clang-format clang-format-14)
find_program(DEWAR_CLANG_TIDY NAMES clang-tidy clang-tidy-14)

set(find_sources
  "find include runtime bindings cli spec examples bench -name '*.[ch]'")
if(DEWAR_CLANG_FORMAT)
  add_custom_target(format
    COMMAND sh -c "${find_sources} | xargs '${DEWAR_CLANG_FORMAT}' -i"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" VERBATIM)
  add_custom_target(format-check
    COMMAND sh -c
      "${find_sources} | xargs '${DEWAR_CLANG_FORMAT}' --dry-run -Werror"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" VERBATIM)
endif()
if(DEWAR_CLANG_TIDY)
  add_custom_target(tidy
    COMMAND sh -c "find runtime bindings cli -name '*.c' | \
xargs -P 2 -n 4 '${DEWAR_CLANG_TIDY}' --quiet -p '${PROJECT_BINARY_DIR}'"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" VERBATIM)
endif()
