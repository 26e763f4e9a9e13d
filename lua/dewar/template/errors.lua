--- What goes wrong with templates before they run. What goes wrong in them is an
--- error like any other, with the template's name and line in front.

local core = require "dewar.core"

local M = {}

--- Raised where there is no template of a name: `err.template` is the name,
--- `err.folders` a list of where it was sought.
M.NotFound = core.Error:extend("TemplateNotFound", {})

--- Raised for a template that can't be compiled: `err.template` is its name,
--- `err.line` the line, which is in the message, too.
M.SyntaxError = core.Error:extend("TemplateSyntaxError", {})

return M
