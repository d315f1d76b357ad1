-- What is told to the gateway besides requests: what browsers asked for, and what was answered alone. Each of
-- Envoy's workers has its own Lua, so each keeps and tells its own. What holds now comes the other way: Envoy
-- itself asks for it and gives it to all workers (`state`).
local settings = require "sparekey.settings"

local EVERY_SECONDS = 0.5
local AFTER_FAILURE_SECONDS = 5
local WAIT_MILLISECONDS = 2000
local MOST_WAITING = 5000
local MOST_AT_ONCE = 400

local M = {}
local waiting, counts = {}, {}
local next_at = 0

local function now(handle)
  return tonumber(tostring(handle:timestamp())) / 1000
end

-- Post to the gateway's own socket; tell whether it took it.
local function post(handle, path, body)
  local head = {
    [":method"] = "POST",
    [":path"] = path,
    [":authority"] = "sparekey",
    ["content-type"] = "text/plain",
  }
  local fields = handle:httpCall("sparekey_exchange", head, body, WAIT_MILLISECONDS)
  return fields ~= nil and fields[":status"] == "200"
end

-- Keep an authorization request for the gateway; it needs them when it holds an answer.
function M.remember(browser, target)
  if #waiting < MOST_WAITING then
    waiting[#waiting + 1] = browser .. " " .. target
  end
end

function M.count(what)
  counts[what] = (counts[what] or 0) + 1
end

-- Hand over what waits. Before a request that the gateway answers: it may be the answer to one of these.
function M.hand_over(handle)
  if #waiting == 0 then
    return true
  end
  -- Other requests of this worker go on meanwhile, so what is being told is taken away first.
  local lines, kept = {}, {}
  for at, line in ipairs(waiting) do
    local goes = at <= MOST_AT_ONCE and lines or kept
    goes[#goes + 1] = line
  end
  waiting = kept
  if post(handle, "/remember", table.concat(lines, "\n")) then
    return true
  end
  for _, line in ipairs(waiting) do
    lines[#lines + 1] = line
  end
  waiting = lines
  return false
end

-- Tell what was counted, if anything was.
function M.tell(handle)
  local told, lines = counts, {}
  counts = {}
  for _, what in ipairs(settings.counted) do
    if told[what] then
      lines[#lines + 1] = what .. "=" .. told[what]
    end
  end
  if #lines == 0 or post(handle, "/state", table.concat(lines, "\n")) then
    return true
  end
  for what, count in pairs(told) do
    counts[what] = (counts[what] or 0) + count
  end
  return false
end

-- Tell what is kept, twice a second at most. Only a request can do this: Envoy's Lua has no clock that strikes.
function M.settle(handle)
  if #waiting == 0 and next(counts) == nil then
    return
  end
  local at = now(handle)
  if at < next_at then
    return
  end
  next_at = at + EVERY_SECONDS
  if not (M.hand_over(handle) and M.tell(handle)) then
    next_at = at + AFTER_FAILURE_SECONDS
  end
end

-- Return the policy's version in force, or nil before it was heard.
function M.policy_version(handle)
  local state = handle:streamInfo():dynamicMetadata():get("sparekey.state")
  return state and state.version ~= "" and state.version or nil
end

-- Tell whether the policy lets everybody through while the gateway is gone; unheard it does not.
function M.releases_on_fault(handle)
  local state = handle:streamInfo():dynamicMetadata():get("sparekey.state")
  return state ~= nil and state.fault == "release"
end

return M
