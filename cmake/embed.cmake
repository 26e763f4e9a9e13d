# SPDX-License-Identifier: MIT
# Turns Lua files into one C file that holds them as arrays of bytes:
#   cmake -DOUT=embedded.c -DROOT=lua -DFILES=dewar/init.lua,... -P embed.cmake
# dewar/app.lua becomes the module "dewar.app", dewar/init.lua "dewar".
set(arrays "")
set(table "")
set(n 0)
string(REPLACE "," ";" FILES "${FILES}")
foreach(file IN LISTS FILES)
  file(READ "${ROOT}/${file}" hex HEX)
  string(LENGTH "${hex}" len)
  math(EXPR len "${len} / 2")
  # A line of C for 16 bytes; a byte more, since C has no empty array.
  string(REGEX REPLACE "(................................)" "\\1\n" hex
    "${hex}00")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  string(APPEND arrays
    "static const unsigned char source_${n}[] = {\n${hex}\n};\n")

  string(REGEX REPLACE "\\.lua$" "" name "${file}")
  string(REGEX REPLACE "/init$" "" name "${name}")
  string(REPLACE "/" "." name "${name}")
  string(APPEND table "  {\"${name}\", \"@${file}\", source_${n}, ${len}},\n")
  math(EXPR n "${n} + 1")
endforeach()

file(WRITE "${OUT}"
"/* Dewar's Lua files, made from lua/ by cmake/embed.cmake. */
#include \"bindings/embedded.h\"

${arrays}
const dw_embedded_module dw_embedded_modules[] = {
${table}  {NULL, NULL, NULL, 0},
};
")
