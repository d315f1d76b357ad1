-- The link on sign-in pages, byte for byte as `gateway/interception/link.py` puts it.
local settings = require "sparekey.settings"

local find, gsub = ngx.re.find, ngx.re.gsub

local OPENING = '<p id="sparekey-link"'
local LONGEST_RETURN_PATH = 8192
local PASSWORD = [[<input\b[^>]*\stype\s*=\s*["']?password\b]]
local ACTION = [[\saction\s*=\s*(?:"([^"]*)"|'([^']*)')]]
local ONE_TIME = "^(?:session_code|execution)="
local LANGUAGE = [[\slang\s*=\s*["']?([A-Za-z]{2,3})(?![A-Za-z])]]
local SIGN_IN_FORM, PASSWORD_FORM = 'id="kc-form-login"', 'id="kc-passwd-update-form"'
local ERROR_PAGE, ERROR_MESSAGE = 'data-page-id="login-error"', 'id="kc-error-message"'
local LESS_THAN, SLASH, AMPERSAND = ("</&"):byte(1, 3)
local MOST_LANGUAGES = 64
local IN_A_WORD = {}
for character in ("0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"):gmatch(".") do
  IN_A_WORD[character:byte()] = true
end
local INERT = {
  ["<!--"] = "-->",
  ["<script"] = "</script",
  ["<style"] = "</style",
  ["<textarea"] = "</textarea",
  ["<template"] = "</template",
}
local ENTITIES = setmetatable({ amp = "&", quot = '"', apos = "'", lt = "<", gt = ">" }, {
  __index = function(_, name)
    local number = tonumber(name:match("^#(%d+)$")) or tonumber(name:match("^#x(%x+)$") or "", 16)
    return number and number < 128 and string.char(number) or nil
  end,
})
local QUOTED = {}
for character in ("%\"#&'+;<>\\^`{|}"):gmatch(".") do
  QUOTED[character] = string.format("%%%02X", character:byte())
end

local M = {}

-- What runs for every page stands without loops and captures where it can: only that is compiled (0051).

-- Return where the last of a text begins that ends before `before`.
local function last(text, what, before)
  local head = text:sub(1, before - 1)
  local found = head:find(what, 1, true)
  local another = found and head:find(what, found + 1, true)
  while another do
    found, another = another, head:find(what, another + 1, true)
  end
  return found
end

-- Return where a form ends that begins at `from`. A slash is rarer than what stands before it.
local function form_end(page, from)
  local at = page:find("/form>", from, true)
  if at and page:byte(at - 1) ~= LESS_THAN then
    return page:find("</form>", from, true)
  end
  return at and at - 1
end

local function unescaped(text)
  if not find(text, "&(?!amp;)", "jo") then
    return (gsub(text, "&amp;", "&", "jo"))
  end
  return (text:gsub("&(#?x?%w+);", ENTITIES))
end

-- Return what a form's tag says of its action, as it is written.
local function action_of(tag)
  local first = tag:lower():find("action", 1, true)
  if not first then
    return ""
  end
  if tag:sub(first - 1, first + 7) == ' action="' then
    local ends = tag:find('"', first + 8, true)
    if ends then
      return tag:sub(first + 8, ends - 1)
    end
  end
  local found = ngx.re.match(tag, ACTION, "ijo")
  return found and (found[1] or found[2]) or ""
end

local function after_form(page, inside)
  local opens = last(page, "<form", inside)
  local to = opens and page:find(">", opens, true)
  if not to or IN_A_WORD[page:byte(opens + #"<form")] then
    return nil
  end
  local closes = form_end(page, opens)
  if not closes or closes < inside then
    return nil
  end
  return closes + #"</form>", unescaped(action_of(page:sub(opens, to)))
end

local function is_inert(page, at)
  local before = page:sub(1, at - 1):lower()
  for opener, closer in pairs(INERT) do
    local opened = last(before, opener, #before + 1)
    if opened and not before:find(closer, opened, true) then
      return true
    end
  end
  return false
end

local function place(page)
  local form = page:find(SIGN_IN_FORM, 1, true) or page:find(PASSWORD_FORM, 1, true)
  if form then
    return after_form(page, form)
  end
  if page:find(ERROR_PAGE, 1, true) then
    local message = page:find(ERROR_MESSAGE, 1, true)
    local closes = message and page:find("</p>", message, true)
    return closes and closes + #"</p>", ""
  end
  local password = find(page, PASSWORD, "ijo")
  if not password then
    return nil
  end
  local at, action = after_form(page, password)
  if at and not is_inert(page, at) then
    return at, action
  end
end

-- The languages of the `<html>` tags met so far.
local languages, language_count = {}, 0

local function read_language(tag)
  local stated = ngx.re.match(tag, LANGUAGE, "ijo")
  local named = stated and stated[1]:lower() or "en"
  named = settings.wording[named] and named or "en"
  if language_count < MOST_LANGUAGES then
    languages[tag], language_count = named, language_count + 1
  end
  return named
end

local function language(page)
  local from, to = find(page, [[<html\b[^>]*>]], "ijo")
  if not from or to > 4096 then
    return "en"
  end
  local tag = page:sub(from, to)
  return languages[tag] or read_language(tag)
end

-- Return a query without a parameter, or nil where it takes more than one look.
local function without(query, parameter)
  local from = query:find(parameter, 1, true)
  if not from then
    return query
  end
  local is_alone = not query:find(parameter, from + 1, true)
  if not is_alone or (from > 1 and query:byte(from - 1) ~= AMPERSAND) then
    return nil
  end
  local ends = query:find("&", from, true)
  return ends and query:sub(1, from - 1) .. query:sub(ends + 1) or query:sub(1, math.max(from - 2, 0))
end

local function without_any(query)
  local kept = {}
  for pair in (query .. "&"):gmatch("(.-)&") do
    if not find(pair, ONE_TIME, "jo") then
      kept[#kept + 1] = pair
    end
  end
  return table.concat(kept, "&")
end

local function return_path(action, target)
  local back = target
  if action:find("/login-actions/", 1, true) then
    back = action:byte() == SLASH and action or gsub(action, "^https?://[^/?#]*", "", "ijo")
  end
  local mark = back:find("?", 1, true)
  if mark then
    local query = back:sub(mark + 1)
    local once = without(query, "session_code=")
    local kept = once and without(once, "execution=") or without_any(query)
    back = back:sub(1, kept == "" and mark - 1 or mark) .. kept
  end
  local fits = #back <= LONGEST_RETURN_PATH and find(back, [[^/(?![/\\])[!-~]*\z]], "jo")
  return fits and back or ""
end

-- Nearly always only two characters have to be quoted.
local function quoted(text)
  if not find(text, [=[["#'+;<>\\^`{|}]]=], "jo") then
    return (gsub(gsub(text, "%", "%25", "jo"), "&", "%26", "jo"))
  end
  return (text:gsub("[^%w=_%-./:?!$()*,@%[%]~]", QUOTED))
end

-- Return the page with the link, or nil where it does not fit.
function M.insert(page, target)
  local at, action = place(page)
  if not at or page:sub(at, at + #OPENING - 1) == OPENING then
    return nil
  end
  local named = language(page)
  local back = return_path(action, target)
  local query = "lang=" .. named
  if back ~= "" then
    query = "return_to=" .. quoted(back) .. "&amp;" .. query
  end
  local direction = named == "ar" and "rtl" or "ltr"
  local opening = OPENING .. ' lang="' .. named .. '" dir="' .. direction .. '"><a href="' .. settings.prefix
  local link = opening .. "/reset?" .. query .. '">' .. settings.wording[named]
  return page:sub(1, at - 1) .. link .. page:sub(at)
end

return M
