-- Every answer of the provider that did not come through the gateway is checked here. One that signs
-- somebody in passes only with a claim for its own session, or as the policy says while the gateway is gone.
local address = require "sparekey.address"
local claim = require "sparekey.claim"
local cookie = require "sparekey.cookie"
local exchange = require "sparekey.exchange"
local facts = require "sparekey.facts"
local link = require "sparekey.link"
local page = require "sparekey.page"
local settings = require "sparekey.settings"

local LONGEST_TARGET = 4096
local RANDOM_BYTES = 24
local WHY = "x-sparekey-why"
-- Of pages that may change, nobody states what they were.
local VALIDATORS = { "etag", "last-modified", "content-digest", "content-md5", "digest", "repr-digest" }

local M = {}

local function all(headers, name)
  local values = {}
  for at = 0, headers:getNumValues(name) - 1 do
    values[#values + 1] = headers:getAtIndex(name, at)
  end
  return values
end

local function begins_session(cookies)
  for _, name in ipairs(settings.session_cookies) do
    for _, line in ipairs(cookies) do
      local is_named = line:find(name, 1, true) and line:match("^%s*([^=]*)=") == name
      if is_named and not line:match('^%s*[^=]*="?"?%s*;') then
        return true
      end
    end
  end
  return false
end

-- Our names are ours: no cookie of the provider carries them.
local function drop_own(headers)
  local cookies, kept = all(headers, "set-cookie"), {}
  for _, line in ipairs(cookies) do
    if not cookie.is_own(line) then
      kept[#kept + 1] = line
    end
  end
  if #kept < #cookies then
    headers:remove("set-cookie")
    for _, line in ipairs(kept) do
      headers:add("set-cookie", line)
    end
  end
  return kept
end

-- Tell whether this very answer was decided before: same session, relying party and place, same policy.
local function is_decided(handle, asked, location)
  local status = handle:headers():get(":status")
  if not asked.claim or (status ~= "302" and status ~= "303") then
    return false
  end
  local said = address.stated(location)
  return said ~= nil
    and claim.holds(handle, asked.claim, {
      issuer = settings.issuer,
      session = said.session,
      client = asked.client,
      redirect = said.redirect,
      address = asked.address,
    }, exchange.policy_version(handle))
end

-- Answer with something of ours instead.
local function replace(handle, status, fields, body)
  local headers, names = handle:headers(), {}
  for name in pairs(headers) do
    if name ~= ":status" then
      names[name] = true
    end
  end
  for name in pairs(names) do
    headers:remove(name)
  end
  headers:replace(":status", tostring(status))
  for _, field in ipairs(fields) do
    headers:add(field[1], field[2])
  end
  handle:body(true):setBytes(body)
end

local function page_fields()
  local fields = {}
  for name, value in pairs(settings.page_fields) do
    fields[#fields + 1] = { name:lower(), value }
  end
  return fields
end

local function replace_by_page(handle, status, text, reference)
  replace(handle, status, page_fields(), (text:gsub("REFERENCE", ((reference or ""):sub(1, 8)))))
end

-- Have the browser ask again; the gateway answers then.
local function ask_again(handle, asked)
  local fields = {
    { "location", settings.public .. asked.target },
    { "cache-control", "no-store" },
    { "content-type", "text/plain" },
    { "set-cookie", settings.ask.name .. "=1" .. settings.ask.attributes },
  }
  if asked.cookie then
    fields[#fields + 1] = { "set-cookie", asked.cookie .. "=" .. settings.ask.removed }
  end
  replace(handle, 303, fields, "\n")
end

-- Note why an answer is not the provider's own. The edge counts; it hears of the fault lane by a field that
-- is believed with the number of the request only, which no provider is told.
local function note(handle, asked, why)
  facts.note(handle, why)
  if asked.lane ~= "fault" then
    exchange.count(why)
  end
end

-- Answer for what may sign somebody in and was not decided.
local function undecided(handle, asked)
  if asked.lane == "direct" then
    note(handle, asked, "repeated")
    return ask_again(handle, asked)
  elseif asked.lane == "documents" then
    note(handle, asked, "refused")
    return replace_by_page(handle, 502, settings.unverified, asked.reference)
  end
  local why = exchange.releases_on_fault(handle) and "fault_released" or "fault_denied"
  note(handle, asked, why)
  if why == "fault_denied" then
    replace_by_page(handle, 503, settings.outage, asked.reference)
  end
  handle:headers():replace(WHY, why .. " " .. (asked.reference or ""))
end

local function new_browser(handle)
  local source = assert(io.open("/dev/urandom", "rb"))
  local bytes = source:read(RANDOM_BYTES)
  source:close()
  assert(bytes and #bytes == RANDOM_BYTES, "no random bytes")
  return (handle:base64Escape(bytes):gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
end

local function remember(handle, asked)
  if #asked.target > LONGEST_TARGET or not asked.target:find("client_id=", 1, true) then
    return
  end
  local browser = asked.browser
  if not browser then
    browser = new_browser(handle)
    local line = settings.requests.name .. "=" .. browser .. settings.requests.attributes
    handle:headers():add("set-cookie", line)
  end
  exchange.remember(browser, asked.target)
end

-- Read a page before it passes: the link goes in, and one that hands something over does not pass.
local function read_page(handle, asked)
  local body = handle:body(true)
  local length = body:length()
  local text = length <= settings.page_bytes and body:getBytes(0, length) or nil
  if not text or page.is_unsafe(text) then
    return undecided(handle, asked)
  end
  for _, name in ipairs(VALIDATORS) do
    handle:headers():remove(name)
  end
  local changed = asked.lane ~= "documents" and link.insert(text, asked.target) or text
  if changed ~= text then
    body:setBytes(changed)
  end
end

local function check(handle, asked)
  local headers = handle:headers()
  headers:remove("service-worker-allowed")
  local cookies = drop_own(headers)
  local location, refresh = headers:get("location"), headers:get("refresh")
  if location and not refresh and asked.lane == "direct" and is_decided(handle, asked, location) then
    return note(handle, asked, "decided")
  end
  local status = headers:get(":status")
  local is_page, is_readable = page.kind(status, headers:get("content-type"), headers:get("content-encoding"))
  local leads_on = refresh or (location and address.hands_over(location))
  if leads_on or begins_session(cookies) or (is_page and not is_readable) then
    return undecided(handle, asked)
  end
  if asked.lane == "direct" and tonumber(status) < 400 then
    remember(handle, asked)
  end
  if is_page and asked.method ~= "HEAD" then
    read_page(handle, asked)
  end
end

-- Count what the fault lane said of one answer; nothing of it goes on.
local function hear(handle, asked)
  local headers = handle:headers()
  local said = headers:get(WHY)
  headers:remove(WHY)
  local why, reference = (said or ""):match("^([%l_]+) (%S+)$")
  if asked.lane == "python" and reference == asked.reference then
    note(handle, asked, why)
  end
end

-- Answer for a check that failed: nothing of what was to be checked passes.
local function close(handle, failed)
  handle:logErr("an answer could not be checked: " .. tostring(failed))
  replace(handle, 502, page_fields(), settings.unverified)
end

local function guarded(handle, judge)
  local is_done, failed = pcall(function()
    local asked = facts.kept(handle)
    if asked then
      judge(handle, asked)
    end
  end)
  if not is_done then
    close(handle, failed)
  end
end

-- Check one answer at the edge; what came through the gateway was checked there.
function M.at_edge(handle)
  guarded(handle, function(_, asked)
    if asked.lane == "documents" or asked.lane == "direct" then
      check(handle, asked)
    else
      hear(handle, asked)
    end
    exchange.settle(handle)
  end)
end

-- Check one answer of the provider's while the gateway is gone.
function M.on_fault(handle)
  guarded(handle, check)
end

return M
