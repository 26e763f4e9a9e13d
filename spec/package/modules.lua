-- An app for the command, with C modules that are made for a stock Lua: they
-- find Lua's functions in the command.
require "lfs"
require "luv"
require "cqueues"

local app = require("dewar").app()
app:get("/loaded", function() return "" end)
return app
