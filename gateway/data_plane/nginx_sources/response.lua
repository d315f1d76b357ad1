-- Every answer of the provider that did not come through the gateway is checked here. One that signs
-- somebody in passes only with a claim for its own session, or as the policy says while the gateway is gone.
local claim = require "sparekey.claim"
local link = require "sparekey.link"
local pages = require "sparekey.pages"
local python = require "sparekey.python"
local request = require "sparekey.request"
local settings = require "sparekey.settings"
local values = require "sparekey.values"

local add_header = require("ngx.resp").add_header
local find = ngx.re.find
local field, variable = values.field, values.variable

-- All that a plain answer says, each of it once.
local STATED = [[^(?:(code|state|session_state|iss)=[^&]*+(?!(?:&.*)?&\1=)(?:&(?=.)|\z))+\z]]
local OWN_COOKIE = [[^\s*(?:__host-|__secure-)?sparekey]]
-- Of several types browsers take the last, and some they guess.
local MAY_BE_PAGE = [[html|(?:unknown|application)/unknown|\*/\*]]
local MOST_KINDS = 64
local COLON = (":"):byte()
local ADDRESS = [[^[!-\[\]-~]+\z]]
local UTF_8 = [[charset\s*=\s*"?utf-?8"?\s*(?:;|\z)]]
local LONGEST_TARGET = 4096

local HANDED_OVER, first_letters = {}, "r"
for _, name in ipairs(settings.handed_over) do
  HANDED_OVER[name] = true
  first_letters = first_letters .. name:sub(1, 1)
end
local NAMES = table.concat(settings.handed_over, "|")
local FIELD = [[name\s*=\s*["']?(?:]] .. NAMES .. [=[)["'\s/>]]=]
local UNSAFE = FIELD .. [=[|http-equiv\s*=\s*["']?refresh]=]
-- What every match of it contains, found in a third of the time.
local SUSPECT = [=[=[\s"']*+(?=[]=] .. first_letters .. "])(?:" .. NAMES .. "|refresh)"

local NOTED_COOKIE = "sparekey"
for _, name in ipairs(settings.session_cookies) do
  NOTED_COOKIE = NOTED_COOKIE .. [[|\Q]] .. name .. [[\E]]
end

local NOTHING = {}

local M = {}

-- Tell whether an address takes something along that signs somebody in; unclear ones do.
local function hands_over(address)
  if not find(address, ADDRESS, "jo") then
    return true
  end
  for pair in address:gmatch("[?&#;]([^&#;]*)") do
    if HANDED_OVER[ngx.unescape_uri(pair:match("^[^=]*")):lower()] then
      return true
    end
  end
  return false
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

local function set_cookies()
  local found = field("Set-Cookie")
  return type(found) == "table" and found or { found }
end

-- Our names are ours: no cookie of the provider carries them.
local function drop_own(cookies)
  if not find(table.concat(cookies, "\n"), "sparekey", "ijo") then
    return cookies
  end
  local kept = {}
  for _, line in ipairs(cookies) do
    if not find(line, OWN_COOKIE, "ijo") then
      kept[#kept + 1] = line
    end
  end
  if #kept < #cookies then
    ngx.header.set_cookie = kept
  end
  return kept
end

-- What is known of each Content-Type met so far.
local kinds, kind_count = {}, 0

local function read_kind(kind)
  local is_page = find(kind, MAY_BE_PAGE, "ijo") ~= nil
  local is_readable = not find(kind, "charset", "ijo") or find(kind, UTF_8, "ijo") ~= nil
  local known = { is_page = is_page, is_readable = is_readable }
  if kind_count < MOST_KINDS then
    kinds[kind], kind_count = known, kind_count + 1
  end
  return known
end

-- Tell whether a browser may take this for a page, and whether it would read what is read here.
local function page_kind()
  local kind = field("Content-Type")
  if not kind or kind == "" then
    return values.status() == 200, not field("Content-Encoding")
  end
  local known = kinds[kind] or read_kind(kind)
  return known.is_page, known.is_readable and not (known.is_page and field("Content-Encoding"))
end

-- Return the value of a parameter, or nil.
local function parameter(query, name)
  local _, before = query:find("&" .. name .. "=", 1, true)
  local after = before and query:find("&", before + 1, true)
  return before and ngx.unescape_uri(query:sub(before + 1, after and after - 1 or -1))
end

-- Return where a plain code is sent and of which session it is, or nil for any other Location.
local function stated(location)
  local mark = location:find("?", 1, true)
  if not mark or location:find("#", 1, true) or not find(location:sub(mark + 1), STATED, "jo") then
    return nil
  end
  local query = "&" .. location:sub(mark + 1)
  local issuer, session = parameter(query, "iss"), parameter(query, "session_state")
  if not session or not parameter(query, "code") or (issuer and issuer ~= settings.issuer) then
    return nil
  end
  return location:sub(1, mark - 1), session
end

-- Return the network address as the gateway writes it.
local function client_address()
  local address = ngx.var.remote_addr
  return address:byte() == COLON and address:match("^::ffff:(%d+%.%d+%.%d+%.%d+)$") or address
end

-- Tell whether this very answer was decided before: same session, relying party and place, same policy.
local function is_decided(asked, location)
  if not asked.claim or (ngx.status ~= 302 and ngx.status ~= 303) then
    return false
  end
  local redirect, session = stated(location)
  return redirect ~= nil
    and claim.holds(asked.claim, {
      issuer = settings.issuer,
      session = session,
      client = asked.client,
      redirect = redirect,
      address = client_address(),
    }, python.policy_version())
end

local function clear()
  for name in pairs(ngx.resp.get_headers(0)) do
    ngx.header[name] = nil
  end
end

-- Answer with a page of ours instead.
local function replace(status, page)
  clear()
  local whole = pages.with_reference(page)
  pages.begin(status, whole)
  ngx.ctx.instead, ngx.var.sparekey_body = whole, "instead"
end

-- Have the browser ask again; the gateway answers then.
local function ask_again(asked)
  clear()
  ngx.status = 303
  ngx.header.location = settings.public .. ngx.var.request_uri
  ngx.header.cache_control = "no-store"
  ngx.header.content_type = "text/plain"
  ngx.header.content_length = 1
  ngx.header.set_cookie = {
    settings.ask.name .. "=1" .. settings.ask.attributes,
    asked.cookie and asked.cookie .. "=" .. settings.ask.removed or nil,
  }
  -- An empty body would leave nginx waiting for the rest of the one that it replaces.
  ngx.ctx.instead, ngx.var.sparekey_body = "\n", "instead"
end

-- Return a request's lane as it is now: what went directly is a fault's where the gateway is gone.
local function present(lane)
  if lane == "direct" and python.is_gone() then
    ngx.var.sparekey_lane = "fault"
    return "fault"
  end
  return lane
end

-- Answer for what may sign somebody in and was not decided.
local function undecided(chosen)
  local lane = present(chosen)
  if lane == "direct" then
    ngx.var.sparekey_why = "repeated"
    python.count("repeated")
    return ask_again(ngx.ctx.asked or NOTHING)
  end
  if lane == "fault" and python.releases_on_fault() then
    ngx.var.sparekey_why = "fault_released"
    python.count("fault_released")
    return
  end
  ngx.var.sparekey_why = lane == "fault" and "fault_denied" or "refused"
  python.count(ngx.var.sparekey_why)
  return replace(lane == "fault" and 503 or 502, lane == "fault" and settings.outage or settings.unverified)
end

local function remember()
  local target = variable("request_uri")
  if #target > LONGEST_TARGET or not target:find("client_id=", 1, true) then
    return
  end
  local browser, is_new = request.browser()
  python.remember(browser, target)
  if is_new then
    add_header("Set-Cookie", settings.requests.name .. "=" .. browser .. settings.requests.attributes)
  end
end

-- Read the page before it passes: the link goes in, and a form that hands something over does not pass.
local function read_page(lane)
  values.set_variable("sparekey_body", field("Content-Length") or "pieces")
  values.set_field("Content-Length", nil)
  if lane ~= "direct" then
    ngx.header.etag = nil
    ngx.header.last_modified = nil
  end
end

-- Say that what stands at a public file's address is none.
function M.unverified()
  ngx.var.sparekey_why = "refused"
  python.count("refused")
  pages.answer(502, settings.unverified)
end

-- Tell whether a head says nothing at all that is looked into more closely.
local function is_quiet()
  if field("Location") or field("Refresh") then
    return false
  end
  local cookies = field("Set-Cookie")
  if not cookies then
    return true
  end
  local all = type(cookies) == "table" and table.concat(cookies, "\n") or cookies
  local noted, _, failed = find(all, NOTED_COOKIE, "ijo")
  return not noted and not failed
end

-- Look into a head; return true where it may pass as far as the head goes.
local function passes(lane)
  local location = ngx.header.location
  local cookies = drop_own(set_cookies())
  local refresh = ngx.header.refresh
  if type(location) == "table" or type(refresh) == "table" then
    -- Of two such fields nginx lets only one be taken back: nothing at all is sent.
    python.count("refused")
    return ngx.exit(ngx.ERROR)
  end
  if location and not refresh and is_decided(ngx.ctx.asked or NOTHING, location) then
    ngx.var.sparekey_why = "decided"
    return python.count("decided")
  end
  if refresh or (location and hands_over(location)) or begins_session(cookies) then
    return undecided(lane)
  end
  return true
end

-- Check one head. Lanes: `direct` (plain requests for a code), `fault` (all, while the gateway is gone); what
-- came through the gateway was checked there.
function M.head(lane)
  if lane == "python" or lane == "" then
    return
  end
  if not is_quiet() and not passes(lane) then
    return
  end
  local is_page, is_readable = page_kind()
  if is_page and not is_readable then
    return undecided(lane)
  end
  if values.status() < 400 and (lane == "direct" or variable("uri") == settings.authorization_path) then
    remember()
  end
  if is_page and variable("request_method") ~= "HEAD" then
    read_page(lane)
  end
end

-- Check the head of a public file: nginx's own `map` says what it may be, and all else ends in `unverified`.
function M.document()
  local doubt = variable("sparekey_document")
  if doubt == "" then
    return
  end
  if doubt ~= "cookies" or begins_session(set_cookies()) then
    ngx.exit(418)
  end
  -- A balancer's, for example: nobody is known at these addresses.
  ngx.header.set_cookie = nil
end

-- Tell whether a page hands something over, or may.
local function is_unsafe(page)
  local found, _, failed = find(page, SUSPECT, "ijo")
  if not found and not failed then
    return false
  end
  found, _, failed = find(page, UNSAFE, "ijo")
  return found ~= nil or failed ~= nil
end

-- Return a whole page as it may pass: with the link, or another in its place.
local function checked(page, chosen)
  if page and not is_unsafe(page) then
    return link.insert(page, variable("request_uri")) or page
  end
  local lane = present(chosen)
  if page and lane == "fault" and python.releases_on_fault() then
    python.count("fault_released")
    return page
  end
  ngx.var.sparekey_why = lane == "fault" and "fault_denied" or "refused"
  python.count(ngx.var.sparekey_why)
  return pages.with_reference(settings.unverified)
end

-- Keep the pieces of a page until it is whole.
local function piece_of_page(piece)
  local context = ngx.ctx
  if not context.page then
    context.page, context.page_bytes = {}, 0
  end
  context.page_bytes = context.page_bytes + #piece
  if context.page_bytes <= settings.page_bytes then
    context.page[#context.page + 1] = piece ~= "" and piece or nil
  end
  ngx.arg[1] = nil
  if ngx.arg[2] then
    local is_whole = context.page_bytes <= settings.page_bytes
    ngx.arg[1] = checked(is_whole and table.concat(context.page) or nil, ngx.var.sparekey_lane)
    ngx.var.sparekey_body = ""
  end
end

-- Pass one piece of a body on, or keep it until the page is whole.
function M.body()
  local expected = variable("sparekey_body")
  if expected == "" then
    return
  end
  if expected == "instead" then
    ngx.arg[1], ngx.ctx.instead = ngx.ctx.instead, ""
    ngx.arg[2] = true
    return
  end
  local piece = values.piece()
  if #piece == tonumber(expected) and #piece <= settings.page_bytes then
    -- The usual page comes in one piece.
    values.set_variable("sparekey_body", "")
    -- Nothing follows: said here, the end of the answer goes out with the page.
    ngx.arg[1], ngx.arg[2] = checked(piece, variable("sparekey_lane")), true
    return
  end
  ngx.var.sparekey_body = "pieces"
  return piece_of_page(piece)
end

return M
