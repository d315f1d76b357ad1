-- Applications behind this server. Whom the gateway let in passes again without a question, for as long as
-- nothing ended since. Answers are remembered here and never made: what a cookie says the gateway reads.
local ffi = require "ffi"
local python = require "sparekey.python"
local settings = require "sparekey.settings"

ffi.cdef [[
struct sparekey_time { long seconds; long nanoseconds; };
int clock_gettime(int clock, struct sparekey_time *time);
]]

local MONOTONIC = 1
-- What fits beside a value in shared memory; 24 days, longer than anything is remembered.
local MOST_MILLISECONDS = 2 ^ 31
local BELIEVED_MILLISECONDS = settings.revoked_within_ms
local COUNT_SECONDS = 0.5
local MOST_REMEMBERED = 10000
local LONGEST_TOKEN = 256

local M = {}
local known, sessions = ngx.shared.sparekey_known, ngx.shared.sparekey_sessions

-- What this worker remembers of each application; all workers share `sessions`.
local applications = {}
for host, cookie in pairs(settings.guarded) do
  applications[host] = { host = host, cookie = cookie .. "=", sessions = {}, count = 0 }
end

local let_in = 0
local time = ffi.new("struct sparekey_time")

-- Nobody sets this clock.
local function milliseconds()
  ffi.C.clock_gettime(MONOTONIC, time)
  return (tonumber(time.seconds) * 1000 + math.floor(tonumber(time.nanoseconds) / 1e6)) % MOST_MILLISECONDS
end

-- Return what the gateway last said of all that ended, or nil where it was asked too long ago to be believed.
local function revision()
  local heard, asked = known:get("revision")
  if not heard or (milliseconds() - (asked or 0)) % MOST_MILLISECONDS > BELIEVED_MILLISECONDS then
    return nil
  end
  return heard
end

-- Return the session that a browser sent, exactly as it did; nil wherever there is a doubt which one that is.
local function token_of(application)
  local sent, name = ngx.var.http_cookie, application.cookie
  local from, to = (sent or ""):find(name, 1, true)
  -- Security: of two, the browser says not which is its own; the gateway refuses both (S12).
  if not from or sent:find(name, to + 1, true) then
    return nil
  end
  if from > 1 and sent:sub(from - 2, from - 1) ~= "; " then
    return nil
  end
  local ends = sent:find(";", to + 1, true)
  return sent:sub(to + 1, ends and ends - 1 or -1)
end

local function shared_name(application, token)
  return application.host .. " " .. token
end

local function keep(application, token, session)
  if application.count >= MOST_REMEMBERED then
    application.sessions, application.count = {}, 0
  end
  application.sessions[token] = session
  application.count = application.count + 1
end

-- Return what another worker remembered.
local function read(application, token)
  local written = sessions:get(shared_name(application, token))
  if not written then
    return nil
  end
  local ends, of, user, name, email, groups = written:match("^(%d+)\n(%S+)\n(.-)\n(.-)\n(.-)\n(.*)$")
  local session = { ends = tonumber(ends), revision = of, user = user, name = name, email = email, groups = groups }
  keep(application, token, session)
  return session
end

local function holds(session, now)
  return session ~= nil and session.revision == now and session.ends > ngx.time()
end

-- Return who was let in with the session that a browser sent, where that still holds.
local function recall(application)
  local token, now = token_of(application), revision()
  if not token or not now then
    return nil
  end
  local session = application.sessions[token]
  if holds(session, now) then
    return session
  end
  session = read(application, token)
  return holds(session, now) and session or nil
end

-- Let a request pass with the fields that the gateway answered before, or have the gateway asked.
function M.pass(host)
  local session = recall(applications[host])
  if not session then
    return ngx.exec("@sparekey_ask")
  end
  let_in = let_in + 1
  local variables = ngx.var
  variables.sparekey_user = session.user
  variables.sparekey_name = session.name
  variables.sparekey_email = session.email
  variables.sparekey_groups = session.groups
end

-- Remember that the gateway let a request pass: of which revision and until when, it says itself.
function M.remember(host)
  local application, variables = applications[host], ngx.var
  local token, ends = token_of(application), tonumber(variables.sparekey_until)
  local of = variables.sparekey_revision
  local left = ends and ends - ngx.time() or 0
  if not token or #token > LONGEST_TOKEN or not of or of == "" or left <= 0 then
    return
  end
  local written = table.concat({
    variables.sparekey_until,
    of,
    variables.sparekey_user or "",
    variables.sparekey_name or "",
    variables.sparekey_email or "",
    variables.sparekey_groups or "",
  }, "\n")
  sessions:set(shared_name(application, token), written, left)
end

-- Ask what ended. What counts is when it was asked, not when the answer came.
local function hear()
  if ngx.worker.exiting() then
    return
  end
  local asked = milliseconds()
  local heard = (python.post("/sessions", "") or ""):match("^revision=(%S+)\n$")
  if heard then
    known:set("revision", heard, 0, asked)
  end
end

local function tell_count()
  if let_in > 0 then
    python.count("let_in", let_in)
    let_in = 0
  end
end

local function again_and_again(every, work)
  local function turn(premature)
    work()
    if not premature then
      ngx.timer.at(every, turn)
    end
  end
  ngx.timer.at(0, turn)
end

-- Forget what an earlier configuration let in.
function M.open()
  sessions:flush_all()
end

function M.start()
  again_and_again(COUNT_SECONDS, tell_count)
  if ngx.worker.id() == 0 and BELIEVED_MILLISECONDS > 0 then
    -- Twice as often as what was told gets too old, so that nobody waits for the next answer.
    again_and_again(BELIEVED_MILLISECONDS / 2000, hear)
  end
end

return M
