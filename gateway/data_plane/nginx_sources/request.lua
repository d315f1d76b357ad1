-- One request: which way it goes, and what of it the provider sees.
local claim = require "sparekey.claim"
local python = require "sparekey.python"
local settings = require "sparekey.settings"
local values = require "sparekey.values"

local find, gsub = ngx.re.find, ngx.re.gsub

local METHODS = { GET = 1, HEAD = 1, POST = 1, PUT = 1, DELETE = 1, OPTIONS = 1, PATCH = 1 }
local MOST_FIELDS = 100
local BROWSER = [[^[A-Za-z0-9_-]{32}\z]]

local OWN_COOKIE = [[(?:^|;)\s*(?:__host-|__secure-)?sparekey[^;]*]]
local DROPPED = "^(?:" .. table.concat(settings.dropped_starts, "|") .. ")"

local M = {}

local SESSION = "(?!)"
for _, name in ipairs(settings.session_cookies) do
  SESSION = SESSION .. [[|\Q]] .. name .. [[\E]]
end

-- Return the value of a cookie, or nil where there is none, or more than one.
local function cookie(name)
  local value = ngx.var["cookie_" .. name]
  if not value then
    return nil
  end
  local sent = ngx.var.http_cookie
  local at = sent:find(name, 1, true)
  return at and not sent:find(name, at + #name, true) and value or nil
end

-- Return a Cookie field without our own cookies.
local function without_own(value)
  if not find(value, "sparekey", "ijo") then
    return value
  end
  local theirs, taken = gsub(value, OWN_COOKIE, "", "ijo")
  return taken > 0 and gsub(theirs, [[^[;\s]+]], "", "jo") or value
end

-- Return the claim that a browser has for an application, where it is worth an answer of the provider.
local function claim_for(client)
  local name = settings.decided .. string.format("-%08x", ngx.crc32_long(client))
  local token = cookie(name)
  if token and claim.may_hold(token, python.policy_version()) then
    return { client = client, claim = token, cookie = name }
  end
end

-- Let a plain request for a code go to the provider, unless its cookies say that it would be for nothing.
function M.weigh_cookies()
  local sent = ngx.var.http_cookie
  local asked = claim_for(ngx.var.sparekey_client)
  -- Without a session the provider shows its page, which every answer is still checked to be.
  if sent:find(settings.ask.name, 1, true) or (not asked and find(sent, SESSION, "jo")) then
    return ngx.exec("@all_the_rest")
  end
  if asked then
    ngx.ctx.asked = asked
  end
  ngx.var.sparekey_lane = "direct"
  ngx.var.sparekey_cookie = without_own(sent)
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

-- Choose between the gateway and, while that is gone, the provider.
function M.route()
  if not METHODS[ngx.req.get_method()] then
    return ngx.exit(501)
  end
  if python.is_gone() then
    ngx.var.sparekey_lane = "fault"
    ngx.var.sparekey_upstream = settings.provider
    return clean()
  end
  ngx.var.sparekey_lane = "python"
  python.hand_over()
end

-- Return the browser's id, and true where it is new.
function M.browser()
  if not values.variable("http_cookie") then
    return claim.new_browser(), true
  end
  local id = cookie(settings.requests.name)
  if id and find(id, BROWSER, "jo") then
    return id, false
  end
  return claim.new_browser(), true
end

return M
