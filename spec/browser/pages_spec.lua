-- The error pages in a browser, where there is Chromium, and playwright-core (by
-- npm in spec/browser, or in NODE_PATH). Pictures of them go to the build folder.

local process = require "spec.support.process"

local SKIPPED = 77

describe("error pages in a browser", function()
  after_each(process.stop_all)

  local function look(kind, ...)
    local server = process.serve("spec/browser/pages.lua", ...)
    local folder = os.getenv "SPEC_BUILD_DIR" .. "/pages"
    local browser = process.start { "node", "spec/browser/pages.js", server.url, folder, kind }
    local code
    for _ = 1, 10 do -- a browser takes its time
      local ended, result = pcall(browser.wait, browser)
      if ended then code = result break end
    end
    if code == SKIPPED or code == 127 then
      pending(code == 127 and "Node is missing" or browser:out())
      return
    end
    assert.are.equal(0, code, browser:out() .. browser:err())
  end

  it("fit a desk and a phone, light and dark, and say nothing of errors", function()
    look "plain"
  end)

  it("for developers have a source to look at, a button to copy, and no secrets", function()
    look("debug", "--debug", "--no-reload")
  end)
end)
