-- What an answer of the provider would do in a browser: everything that may sign somebody in is an answer.
local address = require "sparekey.address"
local cookie = require "sparekey.cookie"
local page = require "sparekey.page"
local settings = require "sparekey.settings"

local M = {}

local function all(headers, name)
  local values = {}
  for at = 0, headers:getNumValues(name) - 1 do
    values[#values + 1] = headers:getAtIndex(name, at)
  end
  return values
end

local function begins_session(line)
  for _, name in ipairs(settings.session_cookies) do
    local is_named = line:find(name, 1, true) and line:match("^%s*([^=]*)=") == name
    if is_named and not line:match('^%s*[^=]*="?"?%s*;') then
      return true
    end
  end
  return false
end

-- Our names are ours: no cookie of the provider carries them.
local function drop_own(headers, cookies)
  headers:remove("set-cookie")
  for _, line in ipairs(cookies) do
    if not cookie.is_own(line) then
      headers:add("set-cookie", line)
    end
  end
end

-- Take our names from the cookies of an answer; tell whether one of the others begins a session.
function M.has_session(headers)
  -- Envoy shows all fields as one. Where no name occurs, nothing needs taking apart.
  local joined = headers:get("set-cookie")
  if not joined then
    return false
  end
  local lower, is_noted = joined:lower(), false
  for _, name in ipairs(settings.session_cookies) do
    is_noted = is_noted or joined:find(name, 1, true) ~= nil
  end
  if not is_noted and not lower:find("sparekey", 1, true) then
    return false
  end
  local cookies = all(headers, "set-cookie")
  drop_own(headers, cookies)
  for _, line in ipairs(cookies) do
    if begins_session(line) then
      return true
    end
  end
  return false
end

-- Tell whether a head leads on to somewhere with something that signs somebody in; unclear ones do.
function M.leads_on(headers)
  local location = headers:get("location")
  return headers:get("refresh") ~= nil or (location ~= nil and address.hands_over(location))
end

-- Tell whether a browser may take an answer for a page, and whether it would read what is read here.
function M.page_kind(headers)
  return page.kind(headers:get(":status"), headers:get("content-type"), headers:get("content-encoding"))
end

-- Return body and text of a page that does nothing by itself, or nil.
function M.harmless_page(handle)
  local body = handle:body(true)
  local length = body:length()
  local text = length <= settings.page_bytes and body:getBytes(0, length) or nil
  if text and not page.is_unsafe(text) then
    return body, text
  end
end

return M
