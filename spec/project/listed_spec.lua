-- Every source is listed in the CMakeLists.txt of its top folder: nothing is
-- forgotten, since nothing is globbed.
local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

local function find(folder, condition)
  local pipe = io.popen(("cd %s && find . -type f %s"):format(folder, condition))
  local found = {}
  for path in pipe:lines() do found[#found + 1] = path:sub(3) end
  pipe:close()
  table.sort(found)
  return found
end

local function missing_in(list, folder, condition)
  local listed = {}
  for word in read(list):gsub("#[^\n]*", ""):gmatch("[^%s()\"]+") do
    listed[word] = true
  end
  local found, missing = find(folder, condition), {}
  for _, path in ipairs(found) do
    if not listed[path] then missing[#missing + 1] = path end
  end
  assert.is_true(#found > 0, "nothing was found in " .. folder)
  return missing
end

describe("the list of sources", function()
  it("has every C file of the core", function()
    assert.are.same({}, missing_in("runtime/CMakeLists.txt", "runtime",
      "-name '*.c'"))
  end)

  it("has every C file of the bindings", function()
    assert.are.same({}, missing_in("bindings/CMakeLists.txt", "bindings",
      "-name '*.c'"))
  end)

  it("has every C file of the command", function()
    assert.are.same({}, missing_in("cli/CMakeLists.txt", "cli",
      "-name '*.c'"))
  end)

  it("has every Lua file but those of meta", function()
    assert.are.same({}, missing_in("lua/CMakeLists.txt", "lua",
      "-name '*.lua' ! -path './dewar/meta/*'"))
  end)

  it("has every unit test", function()
    assert.are.same({}, missing_in("spec/CMakeLists.txt", "spec",
      "-path './c/*' -name 'test_*.c'"))
  end)

  it("has every spec", function()
    assert.are.same({}, missing_in("spec/CMakeLists.txt", "spec",
      "-name '*_spec.lua'"))
  end)

  it("has every fuzzer", function()
    assert.are.same({}, missing_in("spec/fuzz/sources.cmake", "spec/fuzz",
      "-name 'fuzz_*.c'"))
  end)
end)
