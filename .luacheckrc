std = "lua54"
max_line_length = 120
codes = true
exclude_files = { "lua/dewar/meta", "build" }
-- A method may leave its receiver, a callback its first arguments, unused.
self = false
unused_secondaries = true
ignore = { "212" }

files["spec"] = { std = "+busted" }
files["examples/*/spec"] = { std = "+busted" }
-- Scripts of wrk are made of globals.
files["bench/driver"] = {
  globals = { "wrk", "setup", "init", "request", "response", "done" },
}
