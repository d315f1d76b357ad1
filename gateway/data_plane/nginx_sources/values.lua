-- nginx's variables, header fields and pieces of a body, each by a plain call. As metamethods (`ngx.var.x`)
-- they are never compiled: what is compiled begins at a plain call, and ends where that returns, not with
-- another call (0051).
local read_variable, write_variable = getmetatable(ngx.var).__index, getmetatable(ngx.var).__newindex
local read_field, write_field = getmetatable(ngx.header).__index, getmetatable(ngx.header).__newindex
local read_argument, read_state = getmetatable(ngx.arg).__index, getmetatable(ngx).__index

local M = {}

function M.variable(name)
  local value = read_variable(ngx.var, name)
  return value
end

function M.set_variable(name, value)
  write_variable(ngx.var, name, value)
end

-- Return a field of the answer's head: a text, a list of them, or nil.
function M.field(name)
  local value = read_field(ngx.header, name)
  return value
end

function M.set_field(name, value)
  write_field(ngx.header, name, value)
end

-- Return the answer's status, a number.
function M.status()
  local status = read_state(ngx, "status")
  return status
end

-- Return the piece of a body that a body filter is to pass on.
function M.piece()
  local piece = read_argument(ngx.arg, 1)
  return piece
end

return M
