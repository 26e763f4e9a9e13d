---@meta dewar.form
-- Files of a form (bindings/upload.c) and its parts as they come
-- (bindings/parts.c).

---A file of a form: `req.files.photo`. Its content goes with the request: save
---it, or read what you need of it, before that ends.
---@class dewar.File
---@field name string of the form's field
---What the client calls it, so never a path to be used: see `secure_filename`.
---@field filename string
---@field content_type string? what the client takes it for
---@field size integer bytes
---@field headers dewar.RequestHeaders of its part
local File = {}

---The whole content.
---@return string
function File:read() end

---The content in pieces of at most `size` bytes (64 KiB).
---@param size? integer
---@return fun(): string?
function File:chunks(size) end

---Makes a file of that name, or writes over the one that is there. It waits for
---the disk without holding up anybody else.
---@param path string
function File:save(path) end

---A part of a form that is read as it comes: see `req:parts()`. It is over when
---the next one is asked for.
---@class dewar.Part
---@field name string of the form's field
---@field filename string? what the client calls the file; nil of a field
---@field content_type string?
---@field headers dewar.RequestHeaders
local Part = {}

---What hasn't been read of it yet. Raises a 413 where the fields of the form are
---larger than `req.max_form_memory_size` in all.
---@return string
function Part:read() end

---Its content piece by piece, as it comes.
---@return fun(): string?
function Part:chunks() end
