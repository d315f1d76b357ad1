-- What a page would make a browser do. Lua's own patterns only: no data plane's library is needed.
local settings = require "sparekey.settings"

local MOST_KINDS = 64
local GUESSED = { ["unknown/unknown"] = true, ["application/unknown"] = true }

local HANDED_OVER = {}
for _, name in ipairs(settings.handed_over) do
  HANDED_OVER[name] = true
end

local M = {}

-- Call `judge` with the position behind each occurrence of a word until it says true.
local function any(text, word, judge)
  local from, to = text:find(word, 1, true)
  while from do
    if judge(to + 1) then
      return true
    end
    from, to = text:find(word, to + 1, true)
  end
  return false
end

-- Tell whether a page hands something over by a form, or leads on by itself.
function M.is_unsafe(page)
  local text = page:lower()
  local function hands_over(at)
    local named = text:match("^%s*=%s*[\"']?([%w_]+)[\"'%s/>]", at)
    return named and HANDED_OVER[named]
  end
  local function refreshes(at)
    return text:find("^%s*=%s*[\"']?refresh", at)
  end
  return any(text, "name", hands_over) or any(text, "http-equiv", refreshes)
end

-- What is known of each Content-Type met so far: whether it is a page, and in UTF-8.
local kinds, kind_count = {}, 0

local function read_kind(kind)
  local lower = kind:lower()
  local named = lower:match("^%s*([%w!#$&^_.+-]+/[%w!#$&^_.+-]+)%s*$")
    or lower:match("^%s*([%w!#$&^_.+-]+/[%w!#$&^_.+-]+)%s*;")
  -- Two fields are shown as one, with a comma; what no browser knows, it guesses.
  local is_page = not named or GUESSED[named] or lower:find("html", 1, true) or lower:find(",", 1, true)
  local charset = lower:match("charset(.*)$")
  local stated = charset and (charset:match("^([^;]*);") or charset)
  local is_utf_8 = not stated or stated:find("^%s*=%s*\"?utf%-?8\"?%s*$")
  return { is_page = is_page and true or false, is_utf_8 = is_utf_8 and true or false }
end

-- Tell whether a browser may take a Content-Type for a page, and whether it would read what is read here.
function M.kind(status, kind, encoding)
  if not kind or kind == "" then
    return status == "200", not encoding
  end
  local known = kinds[kind]
  if not known then
    known = read_kind(kind)
    if kind_count < MOST_KINDS then
      kinds[kind], kind_count = known, kind_count + 1
    end
  end
  return known.is_page, known.is_utf_8 and not (known.is_page and encoding)
end

return M
