-- One request: which way it goes, and what of it the provider sees.
local address = require "sparekey.address"
local claim = require "sparekey.claim"
local cookie = require "sparekey.cookie"
local encoding = require "sparekey.encoding"
local exchange = require "sparekey.exchange"
local facts = require "sparekey.facts"
local settings = require "sparekey.settings"

local METHODS = { GET = true, HEAD = true, POST = true, PUT = true, DELETE = true, OPTIONS = true, PATCH = true }
local LANE = "x-sparekey-lane"
-- All that is told of a person where public documents are asked for.
local OF_DOCUMENTS = {
  accept = true,
  ["accept-encoding"] = true,
  ["accept-language"] = true,
  ["if-modified-since"] = true,
  ["if-none-match"] = true,
  origin = true,
  ["user-agent"] = true,
}
-- What a client states of itself, and what would steer Envoy.
local STATED = { "x-forwarded-", "x-envoy-", "x-sparekey-" }
local MOST_NAMES = 256

local M = {}

local function starts(text, beginnings)
  for _, start in ipairs(beginnings) do
    if text:sub(1, #start) == start then
      return true
    end
  end
  return false
end

-- Return a judge that remembers, within bounds, because strangers choose the names. Pseudo fields stay.
local function remembering(is_removed)
  local verdicts, count = {}, 0
  return function(name)
    local verdict = verdicts[name]
    if verdict == nil then
      verdict = name:sub(1, 1) ~= ":" and (is_removed(name) or false)
      if count < MOST_NAMES then
        verdicts[name], count = verdict, count + 1
      end
    end
    return verdict
  end
end

-- Remove every field that a judge names.
local function remove(headers, is_removed)
  local names
  for name in pairs(headers) do
    if is_removed(name) then
      names = names or {}
      names[#names + 1] = name
    end
  end
  for _, name in ipairs(names or {}) do
    headers:remove(name)
  end
end

local is_stated = remembering(function(name)
  return name == "forwarded" or name == "x-request-id" or starts(name, STATED)
end)

local is_dropped = remembering(function(name)
  return is_stated(name) or settings.dropped[name] or starts(name, settings.dropped_starts)
end)

local is_no_document_field = remembering(function(name)
  return not OF_DOCUMENTS[name]
end)

local function has_session(joined)
  for _, name in ipairs(settings.session_cookies) do
    if joined:find(name, 1, true) then
      return true
    end
  end
  return false
end

local function has_body(headers)
  local length = headers:get("content-length")
  return headers:get("transfer-encoding") ~= nil or (length ~= nil and length ~= "0")
end

-- Return the browser's id, or nil where it has none.
local function browser(joined)
  local ids = cookie.values(joined, settings.requests.name)
  return #ids == 1 and #ids[1] == 32 and ids[1]:find("^[%w_-]+$") and ids[1] or nil
end

-- Return what the guard needs of a request that may go to the provider at once, or nil.
local function direct(handle, asked)
  local headers = handle:headers()
  if asked.method ~= "GET" or asked.path ~= settings.authorization_path then
    return nil
  end
  if headers:get("authorization") or has_body(headers) then
    return nil
  end
  local joined = cookie.joined(headers)
  local client = address.plain_client(asked.target)
  if not client or #cookie.values(joined, settings.ask.name) > 0 then
    return nil
  end
  if not joined then
    return {}
  end
  local name = settings.decided .. "-" .. encoding.crc32(client)
  local tokens = cookie.values(joined, name)
  if #tokens == 1 and claim.may_hold(tokens[1], exchange.policy_version(handle)) then
    return { client = client, claim = tokens[1], cookie = name, browser = browser(joined) }
  end
  -- Without a session the provider shows its page, which every answer is still checked to be.
  return not has_session(joined) and { browser = browser(joined) } or nil
end

-- Have one `Cookie` field at most: of several, readers take the first or all.
local function set_cookie(headers, joined)
  headers:remove("cookie")
  if joined ~= "" then
    headers:add("cookie", joined)
  end
end

-- Take out of the request what the provider must not see.
local function clean(headers)
  local joined = cookie.joined(headers)
  remove(headers, is_dropped)
  if joined then
    set_cookie(headers, cookie.without_own(joined))
  end
  -- Pages must be readable here.
  headers:replace("accept-encoding", "identity")
end

-- State the client as this edge saw it.
local function state(headers, client)
  headers:replace("x-forwarded-for", client)
  headers:replace("x-forwarded-proto", settings.scheme)
  headers:replace("x-forwarded-host", settings.host)
  headers:replace("x-forwarded-port", settings.port)
end

-- Return the network address of whoever asks, without the port.
local function client_address(handle)
  local said = handle:streamInfo():downstreamRemoteAddress()
  local bare = said:match("^%[(.*)%]:%d+$") or said:match("^(.*):%d+$") or said
  return bare:match("^::ffff:(%d+%.%d+%.%d+%.%d+)$") or bare
end

local function is_document(path)
  return settings.documents[path] or starts(path, settings.documents_below)
end

local function is_own(path)
  return settings.own[path] or starts(path, settings.own_below)
end

-- Return the lane of a request, with what the guard needs of it.
local function lane_of(handle, asked)
  if is_document(asked.path) then
    return "documents"
  elseif is_own(asked.path) then
    return "own"
  end
  local found = direct(handle, asked)
  return found and "direct" or "python", found
end

-- Return the status of a refusal, and why, or nil.
local function refusal(headers, asked)
  local host = (headers:get(":authority") or ""):lower():gsub(":%d+$", "")
  if host ~= settings.name then
    return "421", "host"
  elseif not asked.path then
    return "400", "target"
  elseif not METHODS[asked.method] then
    return "501", "method"
  elseif is_document(asked.path) and asked.method ~= "GET" and asked.method ~= "HEAD" then
    return "405", "method"
  elseif is_document(asked.path) and has_body(headers) then
    return "400", "body"
  end
end

-- Choose between the provider and the gateway, at the edge.
function M.route(handle)
  local headers = handle:headers()
  local target = headers:get(":path") or ""
  local asked = { method = headers:get(":method"), target = target, path = address.path(target) }
  asked.reference = headers:get("x-request-id") or ""
  local status, why = refusal(headers, asked)
  if status then
    facts.note(handle, why)
    return handle:respond({ [":status"] = status, ["content-type"] = "text/plain" }, why .. "\n")
  end
  local lane, found = lane_of(handle, asked)
  for name, value in pairs(found or {}) do
    asked[name] = value
  end
  asked.lane, asked.address = lane, client_address(handle)
  facts.keep(handle, asked)
  if lane == "documents" then
    remove(headers, is_no_document_field)
  elseif lane == "direct" then
    clean(headers)
  else
    remove(headers, is_stated)
    if headers:getNumValues("cookie") > 1 then
      set_cookie(headers, cookie.joined(headers))
    end
    headers:replace("x-sparekey-reference", asked.reference)
  end
  state(headers, asked.address)
  if lane == "python" then
    exchange.hand_over(handle)
  end
  -- Last: a request that did not come this far has no lane, and goes nowhere. The fields are taken anew:
  -- what Envoy gave before a wait is dead after it.
  handle:headers():replace(LANE, lane)
  handle:clearRouteCache()
end

-- Send on what the edge could not give to the gateway, because that is gone.
function M.route_on_fault(handle)
  local headers = handle:headers()
  local target, client = headers:get(":path"), headers:get("x-forwarded-for")
  local length = tonumber(headers:get("content-length") or 0)
  facts.keep(handle, {
    method = headers:get(":method"),
    target = target,
    lane = "fault",
    reference = headers:get("x-sparekey-reference") or "",
  })
  if length > settings.body_bytes then
    return handle:respond({ [":status"] = "413" }, "")
  end
  clean(headers)
  state(headers, client)
  headers:replace(LANE, "fault")
  handle:clearRouteCache()
end

return M
