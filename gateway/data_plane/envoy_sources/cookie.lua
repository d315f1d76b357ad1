-- Cookies as browsers send them. Nothing here knows Envoy but for its header fields.
local OWN = { "sparekey", "__host-sparekey", "__secure-sparekey" }

local M = {}

-- Return all `Cookie` fields as one, or nil. HTTP/2 may bring one field for each pair.
function M.joined(headers)
  local count = headers:getNumValues("cookie")
  if count == 0 then
    return nil
  end
  local fields = {}
  for at = 0, count - 1 do
    fields[#fields + 1] = headers:getAtIndex("cookie", at)
  end
  return table.concat(fields, "; ")
end

-- Return the values under one name, as sent.
function M.values(joined, name)
  local values = {}
  if joined and joined:find(name, 1, true) then
    local named = ";%s*" .. name:gsub("%p", "%%%0") .. "=([^;]*)"
    for value in (";" .. joined):gmatch(named) do
      values[#values + 1] = value:match("^(.-)%s*$")
    end
  end
  return values
end

-- Tell whether a cookie, or a line that sets one, carries one of our own names.
function M.is_own(pair)
  local lower = pair:match("^%s*(.*)$"):sub(1, 20):lower()
  for _, start in ipairs(OWN) do
    if lower:sub(1, #start) == start then
      return true
    end
  end
  return false
end

-- Return the pairs that are not ours, as sent; empty where none is left.
function M.without_own(joined)
  if not joined:lower():find("sparekey", 1, true) then
    return joined
  end
  local kept = {}
  for pair in joined:gmatch("[^;]+") do
    if not M.is_own(pair) then
      kept[#kept + 1] = pair
    end
  end
  return (table.concat(kept, ";"):gsub("^%s+", ""))
end

return M
