-- Answers of ours in place of the provider's.
local settings = require "sparekey.settings"

local M = {}

-- Answer with something of ours instead: nothing of the other stays.
function M.replace(handle, status, fields, body)
  local headers, names = handle:headers(), {}
  for name in pairs(headers) do
    if name ~= ":status" then
      names[name] = true
    end
  end
  for name in pairs(names) do
    headers:remove(name)
  end
  headers:replace(":status", tostring(status))
  for _, field in ipairs(fields) do
    headers:add(field[1], field[2])
  end
  handle:body(true):setBytes(body)
end

local function page_fields()
  local fields = {}
  for name, value in pairs(settings.page_fields) do
    fields[#fields + 1] = { name:lower(), value }
  end
  return fields
end

function M.replace_by_page(handle, status, text, reference)
  M.replace(handle, status, page_fields(), (text:gsub("REFERENCE", ((reference or ""):sub(1, 8)))))
end

-- Have a judge look at an answer. Where it fails, nothing of what was to be checked passes.
function M.guarded(handle, judge)
  local is_done, failed = pcall(judge, handle)
  if not is_done then
    handle:logErr("an answer could not be checked: " .. tostring(failed))
    M.replace(handle, 502, page_fields(), settings.unverified)
  end
end

return M
