-- The link on sign-in pages, byte for byte as `gateway/interception/link.py` puts it. Lua's own patterns only.
local settings = require "sparekey.settings"

local OPENING = '<p id="sparekey-link"'
local LONGEST_RETURN_PATH = 8192
local FIRST_BYTES = 4096
local FORMS = { 'id="kc-form-login"', 'id="kc-passwd-update-form"' }
local ERROR_PAGE, ERROR_MESSAGE = 'data-page-id="login-error"', 'id="kc-error-message"'
local ONE_TIME = { "session_code=", "execution=" }
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

-- Return where the last of a text begins that ends before `before`.
local function last(text, what, before)
  local found, at = nil, 0
  while true do
    at = text:find(what, at + 1, true)
    if not at or at + #what > before then
      return found
    end
    found = at
  end
end

local function action_of(tag)
  local lower, at = tag:lower(), 1
  while true do
    local from, to, quote = lower:find("%saction%s*=%s*([\"'])", at)
    if not from then
      return ""
    end
    local closes = tag:find(quote, to + 1, true)
    if closes then
      return (tag:sub(to + 1, closes - 1):gsub("&(#?x?%w+);", ENTITIES))
    end
    at = from + 1
  end
end

local function after_form(page, inside)
  local opens = last(page, "<form", inside)
  local tag = opens and page:match("^<form%f[^%w_][^>]*>", opens)
  local closes = tag and page:find("</form>", opens, true)
  if not closes or closes < inside then
    return nil
  end
  return closes + #"</form>", action_of(tag)
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

-- Return where the first field for a password begins.
local function password_field(page)
  local lower = page:lower()
  if not lower:find("password", 1, true) then
    return nil
  end
  local from, to = lower:find("<input", 1, true)
  while from do
    local tag = lower:match("^%f[^%w_][^>]*", to + 1)
    if tag and tag:find("%stype%s*=%s*[\"']?password%f[^%w_]") then
      return from
    end
    from, to = lower:find("<input", to + 1, true)
  end
end

local function place(page)
  for _, mark in ipairs(FORMS) do
    local at = page:find(mark, 1, true)
    if at then
      return after_form(page, at)
    end
  end
  if page:find(ERROR_PAGE, 1, true) then
    local message = page:find(ERROR_MESSAGE, 1, true)
    local closes = message and page:find("</p>", message, true)
    return closes and closes + #"</p>", ""
  end
  local password = password_field(page)
  local at, action
  if password then
    at, action = after_form(page, password)
  end
  if at and not is_inert(page, at) then
    return at, action
  end
end

local function language(page)
  local tag = page:sub(1, FIRST_BYTES):lower():match("<html%f[^%w_][^>]*>") or ""
  for named in tag:gmatch("%slang%s*=%s*[\"']?(%a+)") do
    if #named == 2 or #named == 3 then
      return settings.wording[named] and named or "en"
    end
  end
  return "en"
end

local function without_one_time(query)
  local kept = {}
  for pair in (query .. "&"):gmatch("(.-)&") do
    local is_spent = false
    for _, start in ipairs(ONE_TIME) do
      is_spent = is_spent or pair:sub(1, #start) == start
    end
    if not is_spent then
      kept[#kept + 1] = pair
    end
  end
  return table.concat(kept, "&")
end

local function return_path(action, target)
  local back = target
  if action:find("/login-actions/", 1, true) then
    local scheme, rest = action:match("^(%a+)://[^/?#]*(.*)$")
    local is_web = scheme and (scheme:lower() == "http" or scheme:lower() == "https")
    back = is_web and rest or action
  end
  local path, query = back:match("^([^?]*)%??(.*)$")
  local kept = without_one_time(query)
  back = kept ~= "" and path .. "?" .. kept or path
  local is_path = back:find("^/") and not back:find("^/[/\\]") and not back:find("[^\33-\126]")
  return is_path and #back <= LONGEST_RETURN_PATH and back or ""
end

-- Return the page with the link, or as it is where it does not fit.
function M.insert(page, target)
  local at, action = place(page)
  if not at or page:sub(at, at + #OPENING - 1) == OPENING then
    return page
  end
  local named = language(page)
  local back = return_path(action, target)
  local query = "lang=" .. named
  if back ~= "" then
    query = "return_to=" .. back:gsub("[%%\"#&'+;<>\\^`{|}]", QUOTED) .. "&amp;" .. query
  end
  local direction = named == "ar" and "rtl" or "ltr"
  local opening = OPENING .. ' lang="' .. named .. '" dir="' .. direction .. '"><a href="' .. settings.prefix
  local link = opening .. "/reset?" .. query .. '">' .. settings.wording[named]
  return page:sub(1, at - 1) .. link .. page:sub(at)
end

return M
