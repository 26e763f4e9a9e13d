---@meta dewar.testing
-- Requests of the test client that testing.lua makes in a loop.

---@class dewar.Client
local Client = {}

---`client:request("GET", path, options)`.
---@param path string
---@param options? dewar.RequestOptions
---@return dewar.TestResponse | dewar.TestPart
function Client:get(path, options) end

---`client:request("HEAD", path, options)`.
---@param path string
---@param options? dewar.RequestOptions
---@return dewar.TestResponse | dewar.TestPart
function Client:head(path, options) end

---`client:request("POST", path, options)`.
---@param path string
---@param options? dewar.RequestOptions
---@return dewar.TestResponse | dewar.TestPart
function Client:post(path, options) end

---`client:request("PUT", path, options)`.
---@param path string
---@param options? dewar.RequestOptions
---@return dewar.TestResponse | dewar.TestPart
function Client:put(path, options) end

---`client:request("PATCH", path, options)`.
---@param path string
---@param options? dewar.RequestOptions
---@return dewar.TestResponse | dewar.TestPart
function Client:patch(path, options) end

---`client:request("DELETE", path, options)`.
---@param path string
---@param options? dewar.RequestOptions
---@return dewar.TestResponse | dewar.TestPart
function Client:delete(path, options) end

---`client:request("OPTIONS", path, options)`.
---@param path string
---@param options? dewar.RequestOptions
---@return dewar.TestResponse | dewar.TestPart
function Client:options(path, options) end

return Client
