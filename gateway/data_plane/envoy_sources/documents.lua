-- Answers for public documents that Envoy's own matcher does not know to be harmless.
local answer = require "sparekey.answer"
local exchange = require "sparekey.exchange"
local facts = require "sparekey.facts"
local random = require "sparekey.random"
local reply = require "sparekey.reply"
local settings = require "sparekey.settings"

local M = {}

local function is_harmless(handle)
  local headers = handle:headers()
  if answer.has_session(headers) or answer.leads_on(headers) then
    return false
  end
  local is_page, is_readable = answer.page_kind(headers)
  return not is_page or (is_readable and answer.harmless_page(handle) ~= nil)
end

local function check(handle)
  if is_harmless(handle) then
    return
  end
  local reference = random.reference()
  handle:streamInfo():dynamicMetadata():set("sparekey", "reference", reference)
  facts.note(handle, "refused")
  reply.replace_by_page(handle, 502, settings.unverified, reference)
  exchange.count("refused")
  exchange.tell(handle)
end

-- Check one answer at the edge.
function M.at_edge(handle)
  reply.guarded(handle, check)
end

return M
