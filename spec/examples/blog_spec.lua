-- examples/blog: its own specs, as `dewar test` runs them; its command.
local process = require "spec.support.process"

describe("the blog", function()
  after_each(process.stop_all)

  it("passes its specs", function()
    local code, out, err = process.run {
      "sh", "-c", 'cd examples/blog && exec "$0" test -o plainTerminal', process.dewar(),
    }
    assert.are.equal(0, code, out .. err)
    assert.matches("(%d+) successes / 0 failures / 0 errors / 0 pending", out)
  end)

  it("is seeded by a command, and served", function()
    local folder = process.folder()
    local env = "BLOG_DATA_FOLDER=" .. folder
    local code, out, err = process.run { "env", env, process.dewar(), "examples/blog/app.lua", "seed", "--posts", "7" }
    assert.are.equal(0, code, err)
    assert.are.equal("There are 7 posts now; log in as Ada with 'correct horse'.\n", out)
    local server = process.start { "env", env, process.dewar(), "run", "examples/blog/app.lua", "--port", "0" }
    local url = server:expect "(http://[%d.]+:%d+)"
    assert.matches("The flask that forgot the weather", (process.get(url .. "/")))
    assert.matches("On waiting", (process.get(url .. "/feed.xml")))
    assert.matches("404", (process.get(url .. "/posts/99")))
    os.execute("rm -r " .. folder)
  end)
end)
