-- Every answer of the provider that did not come through the gateway is checked here, but for documents. One
-- that signs somebody in passes only with a claim for its own session, or as the policy says while the gateway
-- is gone.
local address = require "sparekey.address"
local answer = require "sparekey.answer"
local claim = require "sparekey.claim"
local exchange = require "sparekey.exchange"
local facts = require "sparekey.facts"
local link = require "sparekey.link"
local random = require "sparekey.random"
local reply = require "sparekey.reply"
local settings = require "sparekey.settings"

local LONGEST_TARGET = 4096
local RANDOM_BYTES = 24
local WHY = "x-sparekey-why"
-- Of pages that were changed, nobody states what they were.
local VALIDATORS = { "etag", "last-modified", "content-digest", "content-md5", "digest", "repr-digest" }

local M = {}

-- Tell whether this very answer was decided before: same session, relying party and place, same policy.
local function is_decided(handle, asked)
  local headers = handle:headers()
  local location, status = headers:get("location"), headers:get(":status")
  if not location or (status ~= "302" and status ~= "303") or headers:get("refresh") then
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

-- Have the browser ask again; the gateway answers then.
local function ask_again(handle, asked)
  facts.note(handle, "repeated")
  exchange.count("repeated")
  local fields = {
    { "location", settings.public .. asked.target },
    { "cache-control", "no-store" },
    { "content-type", "text/plain" },
    { "set-cookie", settings.ask.name .. "=1" .. settings.ask.attributes },
  }
  if asked.cookie then
    fields[#fields + 1] = { "set-cookie", asked.cookie .. "=" .. settings.ask.removed }
  end
  reply.replace(handle, 303, fields, "\n")
end

-- Answer as the policy says while the gateway is gone. The edge counts; it hears of this by a field that is
-- believed with the number of the request only, which no provider is told.
local function answer_on_fault(handle, asked)
  local why = exchange.releases_on_fault(handle) and "fault_released" or "fault_denied"
  facts.note(handle, why)
  if why == "fault_denied" then
    reply.replace_by_page(handle, 503, settings.outage, asked.reference)
  end
  handle:headers():replace(WHY, why .. " " .. asked.reference)
end

local function new_browser(handle)
  local bytes = random.bytes(RANDOM_BYTES)
  return (handle:base64Escape(bytes):gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
end

-- Keep what was asked for the gateway, which needs it when it holds an answer.
local function remember(handle, asked)
  if #asked.target > LONGEST_TARGET then
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

-- Put the link into a page.
local function change(handle, asked, body, text)
  local changed = link.insert(text, asked.target)
  if changed == text then
    return
  end
  for _, name in ipairs(VALIDATORS) do
    handle:headers():remove(name)
  end
  body:setBytes(changed)
end

-- Check an answer; one that may sign somebody in and was not decided gets another in its place.
local function check(handle, asked, undecided, is_remembered)
  local headers = handle:headers()
  local has_session = answer.has_session(headers)
  if asked.claim and is_decided(handle, asked) then
    facts.note(handle, "decided")
    return exchange.count("decided")
  end
  local is_page, is_readable = answer.page_kind(headers)
  if has_session or answer.leads_on(headers) or (is_page and not is_readable) then
    return undecided(handle, asked)
  end
  if is_remembered and tonumber(headers:get(":status")) < 400 then
    remember(handle, asked)
  end
  if is_page and asked.method ~= "HEAD" then
    local body, text = answer.harmless_page(handle)
    if not body then
      return undecided(handle, asked)
    end
    change(handle, asked, body, text)
  end
end

-- Count what the fault lane said of one answer; nothing of it goes on.
local function hear(handle)
  local headers = handle:headers()
  local said = headers:get(WHY)
  if not said then
    return
  end
  headers:remove(WHY)
  local why, reference = said:match("^([%l_]+) (%S+)$")
  local asked = facts.kept(handle)
  if asked and handle:streamInfo():routeName() == "python" and reference == asked.reference then
    facts.note(handle, why)
    exchange.count(why)
  end
end

-- Check one answer at the edge; what came through the gateway was checked there.
function M.at_edge(handle)
  reply.guarded(handle, function()
    if handle:streamInfo():routeName() == "direct" then
      check(handle, assert(facts.kept(handle), "nothing is known of the request"), ask_again, true)
    else
      hear(handle)
    end
    exchange.settle(handle)
  end)
end

-- Check one answer of the provider's while the gateway is gone.
function M.on_fault(handle)
  reply.guarded(handle, function()
    if handle:streamInfo():routeName() == "fault" then
      check(handle, assert(facts.kept(handle), "nothing is known of the request"), answer_on_fault, false)
    end
  end)
end

return M
