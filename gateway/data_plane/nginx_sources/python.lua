-- What is exchanged with the gateway besides requests: what browsers asked for, what was counted, what holds now.
local settings = require "sparekey.settings"

local EVERY_SECONDS = 0.5
local FAILURES = 3
local MOST_WAITING = 5000
local MOST_AT_ONCE = 200
local WAITING = "waiting"

local M = {}
local known, asked = ngx.shared.sparekey_known, ngx.shared.sparekey_asked

local function read_answer(socket)
  local line = socket:receive("*l")
  local status = line and line:match("^HTTP/1%.1 (%d%d%d)")
  local length = 0
  while line and line ~= "" do
    line = socket:receive("*l")
    length = line and tonumber(line:lower():match("^content%-length: *(%d+)$")) or length
  end
  local body = line and socket:receive(length)
  return status == "200" and body or nil
end

-- Post to the gateway's own socket; return what it says, or nil.
function M.post(path, body)
  local socket = ngx.socket.tcp()
  socket:settimeouts(500, 2000, 2000)
  if not socket:connect("unix:" .. settings.socket) then
    return nil
  end
  local head = "POST " .. path .. " HTTP/1.1\r\nHost: sparekey\r\nContent-Length: " .. #body .. "\r\n\r\n"
  local said = socket:send(head .. body) and read_answer(socket)
  if not said then
    socket:close()
    return nil
  end
  socket:setkeepalive(30000, 8)
  return said
end

-- Keep an authorization request for the gateway; it needs them when it holds an answer.
function M.remember(browser, target)
  if (asked:llen(WAITING) or 0) < MOST_WAITING then
    asked:rpush(WAITING, browser .. " " .. target)
  end
end

-- Hand over what waits. Before a request that the gateway answers: it may be the answer to one of these.
function M.hand_over()
  if (asked:llen(WAITING) or 0) == 0 then
    return
  end
  local lines = {}
  while #lines < MOST_AT_ONCE do
    local line = asked:lpop(WAITING)
    if not line then
      break
    end
    lines[#lines + 1] = line
  end
  if not M.post("/remember", table.concat(lines, "\n")) then
    for at = #lines, 1, -1 do
      asked:lpush(WAITING, lines[at])
    end
  end
end

function M.count(what, times)
  known:incr("count " .. what, times or 1, 0)
end

local function counted()
  local counts, lines = {}, {}
  for _, what in ipairs(settings.counted) do
    counts[what] = known:get("count " .. what) or 0
    lines[#lines + 1] = what .. "=" .. counts[what]
  end
  return counts, table.concat(lines, "\n")
end

-- Ask what holds now. This, and no person's request, is what tells that the gateway is gone.
local function look()
  local counts, lines = counted()
  local said = M.post("/state", lines)
  local version, answer = (said or ""):match("^version=(%d+)\nfault=(%l+)\n$")
  if not version then
    if known:incr("failures", 1, 0) >= FAILURES then
      known:set("gone", true)
    end
    return
  end
  known:set("failures", 0)
  known:set("version", version)
  known:set("fault", answer)
  known:delete("gone")
  for what, count in pairs(counts) do
    known:incr("count " .. what, -count)
  end
end

function M.start()
  if ngx.worker.id() ~= 0 then
    return
  end
  local function turn(premature)
    if premature then
      return
    end
    look()
    if not known:get("gone") then
      M.hand_over()
    end
    ngx.timer.at(EVERY_SECONDS, turn)
  end
  ngx.timer.at(0, turn)
end

function M.is_gone()
  return known:get("gone") == true
end

-- Return the policy's version in force, or nil before it was heard.
function M.policy_version()
  return known:get("version")
end

-- Tell whether the policy lets everybody through while the gateway is gone; unheard it does not.
function M.releases_on_fault()
  return known:get("fault") == "release"
end

return M
