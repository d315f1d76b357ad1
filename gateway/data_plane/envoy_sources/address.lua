-- What an address says: where it leads, and what it takes along.
local encoding = require "sparekey.encoding"
local settings = require "sparekey.settings"

local STATED = { code = true, state = true, session_state = true, iss = true }

local HANDED_OVER = {}
for _, name in ipairs(settings.handed_over) do
  HANDED_OVER[name] = true
end

local M = {}

-- Tell whether two readers could take one path for two.
local function is_ambiguous(path)
  if path:find("//", 1, true) or path:find("[;\\]") or path:find("/%.%.?/") or path:find("/%.%.?$") then
    return true
  end
  for escape in path:gmatch("%%(.?.?)") do
    local byte = #escape == 2 and tonumber(escape:match("^%x%x$") or "", 16)
    local is_needless = byte and (string.char(byte):find("^[%w%-._~/\\]$") or byte < 0x20 or byte == 0x7F)
    if not byte or is_needless then
      return true
    end
  end
  return false
end

-- Return the path of a request's target, or nil where it does not read in one way only.
function M.path(target)
  if target:sub(1, 1) ~= "/" or target:find("[^\33-\126]") or target:find("#", 1, true) then
    return nil
  end
  local path = target:match("^[^?]*")
  return not is_ambiguous(path) and path or nil
end

-- Return the client of a plain request for a code, which Envoy's route found there once.
function M.client(target)
  return target:match("[?&]client_id=([%w._~-]+)")
end

-- Tell whether an address takes something along that signs somebody in; unclear ones do.
function M.hands_over(address)
  if address == "" or address:find("[^\33-\126]") or address:find("\\", 1, true) then
    return true
  end
  for pair in address:gmatch("[?&#;]([^&#;]*)") do
    if HANDED_OVER[encoding.unescaped(pair:match("^[^=]*")):lower()] then
      return true
    end
  end
  return false
end

-- Return what an answer's Location says, where it is a plain code; else nil.
function M.stated(location)
  -- Envoy shows two fields as one, with a comma between them.
  local redirect, query = location:match("^([^?#,]+)%?([^#,]*)$")
  local found = {}
  for pair in (query or ""):gmatch("[^&]+") do
    local name, value = pair:match("^([%l_]+)=(.*)$")
    if not name or not STATED[name] or found[name] then
      return nil
    end
    found[name] = encoding.unescaped(value)
  end
  local is_plain = found.code and found.session_state and (not found.iss or found.iss == settings.issuer)
  return is_plain and { redirect = redirect, session = found.session_state } or nil
end

return M
