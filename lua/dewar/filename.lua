--- Filenames that are safe to use, made of what clients send.

local M = {}

--- What stands for letters (and digits) beyond ASCII: those that Unicode calls
--- compatible with one or more of ASCII and marks on them.
local STAND_INS = {
  ["..."] = "…",
  ["0"] = "⁰₀",
  ["1"] = "¹₁",
  ["12"] = "½",
  ["14"] = "¼",
  ["2"] = "²₂",
  ["3"] = "³₃",
  ["34"] = "¾",
  ["4"] = "⁴₄",
  ["5"] = "⁵₅",
  ["6"] = "⁶₆",
  ["7"] = "⁷₇",
  ["8"] = "⁸₈",
  ["9"] = "⁹₉",
  A = "ÀÁÂÃÄÅĀĂĄǍǞǠǺȀȂȦḀẠẢẤẦẨẪẬẮẰẲẴẶ",
  a = "ªàáâãäåāăąǎǟǡǻȁȃȧḁẚạảấầẩẫậắằẳẵặ",
  B = "ḂḄḆ",
  b = "ḃḅḇ",
  C = "ÇĆĈĊČḈ",
  c = "çćĉċčḉ",
  D = "ĎḊḌḎḐḒ",
  d = "ďḋḍḏḑḓ",
  DZ = "ǄǱ",
  Dz = "ǅǲ",
  dz = "ǆǳ",
  E = "ÈÉÊËĒĔĖĘĚȄȆȨḔḖḘḚḜẸẺẼẾỀỂỄỆ",
  e = "èéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệ",
  F = "Ḟ",
  f = "ḟ",
  ff = "ﬀ",
  ffi = "ﬃ",
  ffl = "ﬄ",
  fi = "ﬁ",
  fl = "ﬂ",
  G = "ĜĞĠĢǦǴḠ",
  g = "ĝğġģǧǵḡ",
  H = "ĤȞḢḤḦḨḪ",
  h = "ĥȟḣḥḧḩḫẖ",
  I = "ÌÍÎÏĨĪĬĮİǏȈȊḬḮỈỊ",
  i = "ìíîïĩīĭįǐȉȋḭḯỉịⁱ",
  IJ = "Ĳ",
  ij = "ĳ",
  J = "Ĵ",
  j = "ĵǰ",
  K = "ĶǨḰḲḴ",
  k = "ķǩḱḳḵ",
  L = "ĹĻĽĿḶḸḺḼ",
  l = "ĺļľŀḷḹḻḽ",
  LJ = "Ǉ",
  Lj = "ǈ",
  lj = "ǉ",
  M = "ḾṀṂ",
  m = "ḿṁṃ",
  N = "ÑŃŅŇǸṄṆṈṊ",
  n = "ñńņňŉǹṅṇṉṋⁿ",
  NJ = "Ǌ",
  Nj = "ǋ",
  nj = "ǌ",
  O = "ÒÓÔÕÖŌŎŐƠǑǪǬȌȎȪȬȮȰṌṎṐṒỌỎỐỒỔỖỘỚỜỞỠỢ",
  o = "ºòóôõöōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợ",
  P = "ṔṖ",
  p = "ṕṗ",
  R = "ŔŖŘȐȒṘṚṜṞ",
  r = "ŕŗřȑȓṙṛṝṟ",
  S = "ŚŜŞŠȘṠṢṤṦṨ",
  s = "śŝşšſșṡṣṥṧṩẛ",
  st = "ﬅﬆ",
  T = "ŢŤȚṪṬṮṰ",
  t = "ţťțṫṭṯṱẗ",
  TM = "™",
  U = "ÙÚÛÜŨŪŬŮŰŲƯǓǕǗǙǛȔȖṲṴṶṸṺỤỦỨỪỬỮỰ",
  u = "ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự",
  V = "ṼṾ",
  v = "ṽṿ",
  W = "ŴẀẂẄẆẈ",
  w = "ŵẁẃẅẇẉẘ",
  X = "ẊẌ",
  x = "ẋẍ",
  Y = "ÝŶŸȲẎỲỴỶỸ",
  y = "ýÿŷȳẏẙỳỵỷỹ",
  Z = "ŹŻŽẐẒẔ",
  z = "źżžẑẓẕ",
}

local SPACES = "\u{A0}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}"
  .. "\u{200A}\u{202F}\u{205F}\u{3000}"

local FULL_WIDTH = { first = 0xFF01, last = 0xFF5E, distance = 0xFF01 - 0x21 }

local ascii -- by character; made when it is first needed

local function make_ascii()
  ascii = {}
  for text, characters in pairs(STAND_INS) do
    for character in characters:gmatch(utf8.charpattern) do ascii[character] = text end
  end
  for space in SPACES:gmatch(utf8.charpattern) do ascii[space] = " " end
  for code = FULL_WIDTH.first, FULL_WIDTH.last do
    ascii[utf8.char(code)] = string.char(code - FULL_WIDTH.distance)
  end
end

--- A name for a file of one's own, made of what a client has sent: letters,
--- digits, `.`, `-` and `_`, with nothing that leads to another folder, and no
--- dot in front. It may be empty: then the name had nothing to be used.
---@param name string "../../My Résumé.pdf"
---@return string safe "My_Resume.pdf"
function M.secure(name)
  if type(name) ~= "string" then
    error("secure_filename takes a filename; got a " .. type(name), 2)
  end
  if name:find "[\x80-\xFF]" then
    if not ascii then make_ascii() end
    name = name:gsub(utf8.charpattern, ascii)
  end
  local words = {}
  for word in name:gsub("[/\\]", " "):gmatch "%S+" do words[#words + 1] = word end
  local safe = table.concat(words, "_"):gsub("[^A-Za-z0-9_.-]", "")
  return (safe:gsub("^[._]+", ""):gsub("[._]+$", ""))
end

return M
