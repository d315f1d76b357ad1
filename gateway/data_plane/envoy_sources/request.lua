-- One request that Envoy's routes alone did not choose a way for, or whose answer needs to know of it.
local address = require "sparekey.address"
local claim = require "sparekey.claim"
local cookie = require "sparekey.cookie"
local exchange = require "sparekey.exchange"
local facts = require "sparekey.facts"
local settings = require "sparekey.settings"

local METHODS = { GET = true, HEAD = true, POST = true, PUT = true, DELETE = true, OPTIONS = true, PATCH = true }
local LANE = "x-sparekey-lane"

local M = {}

local function starts(text, beginnings)
  for _, start in ipairs(beginnings) do
    if text:sub(1, #start) == start then
      return true
    end
  end
  return false
end

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
  return length ~= nil and length ~= "0"
end

-- Return the browser's id, or nil where it has none.
local function browser(joined)
  local ids = cookie.values(joined, settings.requests.name)
  return #ids == 1 and #ids[1] == 32 and ids[1]:find("^[%w_-]+$") and ids[1] or nil
end

-- Have one `Cookie` field at most: of several, readers take the first or all.
local function set_cookie(headers, joined)
  headers:remove("cookie")
  if joined ~= "" then
    headers:add("cookie", joined)
  end
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

-- Return the status of a refusal, and why, or nil.
local function refusal(headers, method, path)
  local host = (headers:get(":authority") or ""):lower():gsub(":%d+$", "")
  if host ~= settings.name then
    return "421", "host"
  elseif not path then
    return "400", "target"
  elseif not METHODS[method] then
    return "501", "method"
  elseif is_document(path) and method ~= "GET" and method ~= "HEAD" then
    return "405", "method"
  elseif is_document(path) and has_body(headers) then
    return "400", "body"
  end
end

-- Return what is known of any request.
local function read(headers)
  return {
    target = headers:get(":path") or "",
    method = headers:get(":method"),
    reference = headers:get("x-request-id") or "",
  }
end

-- Choose the lane. Last of all: a request that did not come this far has none, and goes nowhere. The fields
-- are taken anew: what Envoy gave before a wait is dead after it.
local function send(handle, lane)
  handle:headers():replace(LANE, lane)
  handle:clearRouteCache()
end

local function send_to_gateway(handle, lane, asked)
  facts.keep(handle, asked)
  local headers = handle:headers()
  if headers:getNumValues("cookie") > 1 then
    set_cookie(headers, cookie.joined(headers))
  end
  if lane == "python" then
    exchange.hand_over(handle)
  end
  send(handle, lane)
end

-- Note in a plain request what the check of the answer needs; tell whether it may go to the provider at once.
local function may_go_at_once(handle, asked, joined)
  if #cookie.values(joined, settings.ask.name) > 0 then
    return false
  end
  asked.browser = browser(joined)
  local client = address.client(asked.target)
  local name = claim.cookie_name(client)
  local tokens = cookie.values(joined, name)
  if #tokens == 1 and claim.may_hold(tokens[1], exchange.policy_version(handle)) then
    asked.client, asked.claim, asked.cookie = client, tokens[1], name
    asked.address = client_address(handle)
    return true
  end
  -- Without a session the provider shows its page, which every answer is still checked to be.
  return not has_session(joined)
end

-- Weigh the cookies of a plain request for a code.
local function weigh(handle)
  local headers = handle:headers()
  local asked, joined = read(headers), cookie.joined(headers)
  if not may_go_at_once(handle, asked, joined) then
    return send_to_gateway(handle, "python", asked)
  end
  facts.keep(handle, asked)
  set_cookie(headers, cookie.without_own(joined))
  send(handle, "direct")
end

-- Refuse a request, or give it to the gateway.
local function choose(handle)
  local headers = handle:headers()
  local asked = read(headers)
  local path = address.path(asked.target)
  local status, why = refusal(headers, asked.method, path)
  if status then
    facts.note(handle, why)
    return handle:respond({ [":status"] = status, ["content-type"] = "text/plain" }, why .. "\n")
  end
  send_to_gateway(handle, is_own(path) and "own" or "python", asked)
end

-- Choose between the provider and the gateway, at the edge.
function M.route(handle)
  local chosen = handle:streamInfo():routeName()
  if chosen == "direct" then
    facts.keep(handle, read(handle:headers()))
  elseif chosen == "weigh" then
    weigh(handle)
  else
    choose(handle)
  end
end

-- Send on what the edge could not give to the gateway, because that is gone.
function M.route_on_fault(handle)
  local headers = handle:headers()
  local asked = read(headers)
  asked.reference = headers:get("x-sparekey-reference") or ""
  facts.keep(handle, asked)
  if tonumber(headers:get("content-length") or 0) > settings.body_bytes then
    return handle:respond({ [":status"] = "413" }, "")
  end
  local joined = cookie.joined(headers)
  if joined then
    set_cookie(headers, cookie.without_own(joined))
  end
  send(handle, "fault")
end

return M
