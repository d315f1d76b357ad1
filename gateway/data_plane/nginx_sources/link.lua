-- The link on sign-in pages, byte for byte as `gateway/plane/link.py` puts it.
local settings = require "sparekey.settings"

local find, gsub = ngx.re.find, ngx.re.gsub

local OPENING = '<p id="sparekey-link"'
local LONGEST_RETURN_PATH = 8192
local PASSWORD = [[<input\b[^>]*\stype\s*=\s*["']?password\b]]
local ACTION = [[\saction\s*=\s*(?:"([^"]*)"|'([^']*)')]]
local ONE_TIME = [[(\?|&)(?:(?:session_code|execution)=[^&]*(?:&|\z))+]]
local LANGUAGE = [[\slang\s*=\s*["']?([A-Za-z]{2,3})(?![A-Za-z])]]
local FORMS = { 'id="kc-form-login"', 'id="kc-passwd-update-form"' }
local ERROR_PAGE, ERROR_MESSAGE = 'data-page-id="login-error"', 'id="kc-error-message"'
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

local function unescaped(text)
  return (text:gsub("&(#?x?%w+);", ENTITIES))
end

local function after_form(page, inside)
  local opens = last(page, "<form", inside)
  local from, to = find(page, [[<form\b[^>]*>]], "ajo", { pos = opens or 1 })
  if not opens or not from then
    return nil
  end
  local closes = page:find("</form>", opens, true)
  if not closes or closes < inside then
    return nil
  end
  local action = ngx.re.match(page:sub(opens, to), ACTION, "ijo")
  return closes + #"</form>", action and unescaped(action[1] or action[2] or "") or ""
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
  local password = find(page, PASSWORD, "ijo")
  if not password then
    return nil
  end
  local at, action = after_form(page, password)
  if at and not is_inert(page, at) then
    return at, action
  end
end

local function language(page)
  local from, to = find(page, [[<html\b[^>]*>]], "ijo")
  local stated = from and to <= 4096 and ngx.re.match(page:sub(from, to), LANGUAGE, "ijo")
  local named = stated and stated[1]:lower() or "en"
  return settings.wording[named] and named or "en"
end

local function return_path(action, target)
  local back = target
  if action:find("/login-actions/", 1, true) then
    back = gsub(action, "^https?://[^/?#]*", "", "ijo")
  end
  local kept, taken = gsub(back, ONE_TIME, "$1", "jo")
  if taken > 0 or kept:find("?", #kept, true) then
    kept = gsub(kept, "[?&]\\z", "", "jo")
  end
  local fits = #kept <= LONGEST_RETURN_PATH and find(kept, [[^/(?![/\\])[!-~]*\z]], "jo")
  return fits and kept or ""
end

local function quoted(text)
  return (text:gsub("[%%\"#&'+;<>\\^`{|}]", QUOTED))
end

-- Return the page with the link, in pieces, or nil where it does not fit.
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
  return { page:sub(1, at - 1), link, page:sub(at) }
end

return M
