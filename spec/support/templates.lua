--- Apps with templates in a folder of their own.
--
--     local app = templates.app { ["page.html"] = "<h1><%= title %></h1>" }
--     after_each(templates.clean)

local dewar = require "dewar"
local process = require "spec.support.process"

local M = {}

local folders = {}

--- Writes a template, or changes it.
function M.write(app, name, text)
  local path = app.template_folder .. "/" .. name
  local folder = path:match "^(.*)/"
  assert(os.execute(("mkdir -p '%s'"):format(folder)))
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- A new folder with files in it.
function M.folder(files)
  local folder = process.folder()
  folders[#folders + 1] = folder
  for name, text in pairs(files or {}) do M.write({ template_folder = folder }, name, text) end
  return folder
end

--- An app whose templates are these.
function M.app(files, config)
  return dewar.app { template_folder = M.folder(files), config = config }
end

--- Removes what was written.
function M.clean()
  for i = #folders, 1, -1 do
    os.execute(("rm -r '%s'"):format(folders[i]))
    folders[i] = nil
  end
end

return M
