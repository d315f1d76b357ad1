-- One request: which way it goes, and what of it the provider sees.
local claim = require "sparekey.claim"
local python = require "sparekey.python"
local settings = require "sparekey.settings"

local find, gsub = ngx.re.find, ngx.re.gsub

local METHODS = { GET = 1, HEAD = 1, POST = 1, PUT = 1, DELETE = 1, OPTIONS = 1, PATCH = 1 }
local MOST_FIELDS = 100

-- A plain request for a code. With any other parameter, or one that is given twice, the gateway answers.
local NAMES = "client_id|code_challenge|code_challenge_method|login_hint|nonce|redirect_uri|response_type|scope|state"
local PLAIN = "^(?:(?:" .. NAMES .. [[|ui_locales)=[^&]*(?:&(?=.)|\z))+\z]]
local TWICE = [[(?:^|&)([a-z_]+)=(?:[^&]*&)(?:.*&)?\1=]]
local CLIENT = [[^[A-Za-z0-9._~-]+\z]]
local OWN_COOKIE = [[(?:^|;)\s*(?:__host-|__secure-)?sparekey[^;]*]]
local DROPPED = "^(?:" .. table.concat(settings.dropped_starts, "|") .. ")"

local M = {}

-- Return the values of a cookie, as sent.
local function cookies(name)
  local values, found = {}, ngx.var.http_cookie
  if found and found:find(name, 1, true) then
    for pair in found:gmatch("[^;]+") do
      local key, value = pair:match("^%s*([^=]*)=(.-)%s*$")
      if key == name then
        values[#values + 1] = value
      end
    end
  end
  return values
end

local function has_session()
  local found = ngx.var.http_cookie
  if found then
    for _, name in ipairs(settings.session_cookies) do
      if found:find(name, 1, true) then
        return true
      end
    end
  end
  return false
end

-- Return the client of a plain authorization request, or nil.
local function plain_client()
  local query = ngx.var.args or ""
  if not find(query, PLAIN, "jo") or find(query, TWICE, "jo") then
    return nil
  end
  local client = ngx.var.arg_client_id
  local is_plain = ngx.var.arg_response_type == "code" and ngx.var.arg_redirect_uri and client
  return is_plain and find(client, CLIENT, "jo") and client or nil
end

-- Return what the guard needs of a request that may go to the provider at once, or nil.
local function direct(method)
  if method ~= "GET" or ngx.var.sparekey_path ~= settings.authorization_path then
    return nil
  end
  if ngx.var.http_authorization or #cookies(settings.ask.name) > 0 then
    return nil
  end
  local client = plain_client()
  if not client then
    return nil
  end
  if not ngx.var.http_cookie then
    return {}
  end
  local name = settings.decided .. string.format("-%08x", ngx.crc32_long(client))
  local tokens = cookies(name)
  if #tokens == 1 and claim.may_hold(tokens[1], python.policy_version()) then
    return { client = client, claim = tokens[1], cookie = name }
  end
  -- Without a session the provider shows its page, which every answer is still checked to be.
  return not has_session() and {} or nil
end

-- Return a Cookie field without our own cookies.
local function without_own(value)
  local theirs, taken = gsub(value, OWN_COOKIE, "", "ijo")
  return taken > 0 and gsub(theirs, [[^[;\s]+]], "", "jo") or value
end

-- Take out of the request what the provider must not see.
local function clean()
  local fields, cut = ngx.req.get_headers(MOST_FIELDS)
  if cut then
    return ngx.exit(431)
  end
  for name, value in pairs(fields) do
    if settings.dropped[name] or find(name, DROPPED, "jo") then
      ngx.req.clear_header(name)
    elseif name == "cookie" then
      local cookie = type(value) == "table" and table.concat(value, "; ") or value
      local theirs = without_own(cookie)
      if theirs == "" then
        ngx.req.clear_header("Cookie")
      elseif theirs ~= cookie then
        ngx.req.set_header("Cookie", theirs)
      end
    end
  end
  -- Pages must be readable here.
  ngx.req.set_header("Accept-Encoding", "identity")
end

local function to_provider(lane, asked)
  ngx.ctx.lane, ngx.ctx.asked = lane, asked
  ngx.var.sparekey_lane = lane
  ngx.var.sparekey_upstream = settings.provider
  clean()
end

-- Choose between the provider and the gateway.
function M.route()
  local method = ngx.req.get_method()
  if not METHODS[method] then
    return ngx.exit(501)
  end
  if python.is_gone() then
    return to_provider("fault", direct(method) or {})
  end
  local asked = direct(method)
  if asked then
    return to_provider("direct", asked)
  end
  ngx.ctx.lane = "python"
  ngx.var.sparekey_lane = "python"
  python.hand_over()
end

-- Return the browser's id, and true where it is new.
function M.browser()
  local ids = cookies(settings.requests.name)
  if #ids == 1 and #ids[1] == 32 and ids[1]:find("^[%w_-]+$") then
    return ids[1], false
  end
  return claim.new_browser(), true
end

return M
