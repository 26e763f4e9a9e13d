---@meta dewar.log
-- The log (bindings/log.c): records from scripts, and where all records go.

---@alias dewar.LogLevel "debug"|"info"|"warn"|"error"

---The log. A record is a level, a text and named fields. Those of Dewar itself,
---an error that nobody handled or a request that is over, go the same way.
---@class dewar.Log
---Gets every record, Dewar's own included; nil for the sink that was there
---before: standard error, or the host's. It can't wait. Where it fails, or logs
---itself, that sink gets the record.
---@field sink? fun(level: dewar.LogLevel, text: string, fields: table<string, string|number|boolean>)
---Records below it are dropped: "warn" in a plain lua5.4, "info" in the command.
---@field level dewar.LogLevel
---Of the lines on standard error. nil, and not to be set, where a host has a
---log of its own.
---@field format? "text"|"json"
local log = {}

---Writes a record for who looks for a fault.
---@param text any as `tostring` has it
---@param fields table<string, string|number|boolean>?
function log.debug(text, fields) end

---Writes a record of what goes as it should.
---@param text any as `tostring` has it
---@param fields table<string, string|number|boolean>?
function log.info(text, fields) end

---Writes a record of what may be wrong.
---@param text any as `tostring` has it
---@param fields table<string, string|number|boolean>?
function log.warn(text, fields) end

---Writes a record of what has gone wrong.
---@param text any as `tostring` has it: an error object, for one
---@param fields table<string, string|number|boolean>?
function log.error(text, fields) end

return log
