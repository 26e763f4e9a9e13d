-- The layering check finds what it is there to find.
local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

describe("scripts/layers", function()
  local root

  before_each(function()
    root = os.tmpname()
    os.remove(root)
    assert(os.execute(("mkdir -p %s/include %s/bindings %s/cli"):format(root,
      root, root)))
    for _, layer in ipairs{ "base", "net", "http", "app" } do
      assert(os.execute(("mkdir -p %s/runtime/%s"):format(root, layer)))
    end
    write(root .. "/include/dewar.h", "#include <stddef.h>\n")
    write(root .. "/runtime/base/a.h", '#include "dewar.h"\n')
    write(root .. "/runtime/net/b.h", '#include "base/a.h"\n')
    write(root .. "/runtime/net/b.c", '#include "net/b.h"\n#include "c.h"\n')
    write(root .. "/runtime/net/c.h", "")
    write(root .. "/bindings/d.c", '#include <lua.h>\n#include "net/b.h"\n')
  end)

  after_each(function() os.execute("rm -rf " .. root) end)

  local function check()
    local pipe = io.popen("lua5.4 scripts/layers " .. root .. " 2>&1")
    local text = pipe:read("a")
    return pipe:close() == true, text
  end

  it("passes a tree whose includes go sideways and down", function()
    local ok, text = check()
    assert.is_true(ok, text)
    assert.matches("6 files, 0 problems", text)
  end)

  it("names file and line of an include that goes up", function()
    write(root .. "/runtime/base/a.c", '\n#include "net/b.h"\n')
    local ok, text = check()
    assert.is_false(ok)
    assert.matches("runtime/base/a.c:2: base must not know net (net/b.h)",
      text, 1, true)
  end)

  it("keeps the command out of the library", function()
    write(root .. "/cli/e.h", "")
    write(root .. "/bindings/d.c", '#include "cli/e.h"\n')
    assert.is_false((check()))
  end)

  it("keeps the public header free of everything inside", function()
    write(root .. "/include/dewar.h", '#include "base/a.h"\n')
    assert.is_false((check()))
  end)

  it("finds headers that include each other in a circle", function()
    write(root .. "/runtime/net/c.h", '#include "net/b.h"\n')
    write(root .. "/runtime/net/b.h", '#include "c.h"\n')
    local ok, text = check()
    assert.is_false(ok)
    assert.matches("runtime/net/b.h -> runtime/net/c.h -> runtime/net/b.h",
      text, 1, true)
  end)

  it("keeps Lua out of the core", function()
    for _, name in ipairs{ "lua.h", "lauxlib.h", "lualib.h", "lua5.4/lua.h" } do
      write(root .. "/runtime/app/a.c", ("#include <%s>\n"):format(name))
      local ok, text = check()
      assert.is_false(ok)
      assert.matches("runtime/app/a.c:1: app must not know Lua", text, 1, true)
    end
  end)
end)
