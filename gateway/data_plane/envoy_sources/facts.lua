-- What is kept of a request until its answer comes, and what the log says of it. Envoy gives both directions
-- nothing else in common; one text is cheapest there.
local NAMES = { "target", "method", "reference", "address", "client", "claim", "cookie", "browser" }

local M = {}

-- Keep what was found of a request.
function M.keep(handle, found)
  local kept = handle:streamInfo():dynamicMetadata()
  -- No value of a header field can hold the end of a line.
  local values = {}
  for at, name in ipairs(NAMES) do
    values[at] = found[name] or ""
  end
  values[#values + 1] = ""
  kept:set("sparekey.asked", "all", table.concat(values, "\n"))
  -- For the log, and for the pages that Envoy makes itself.
  kept:set("sparekey", "reference", found.reference)
end

-- Return what was kept; nil for a request that Envoy answered before anything was.
function M.kept(handle)
  local said = handle:streamInfo():dynamicMetadata():get("sparekey.asked")
  if not said then
    return nil
  end
  local all, found, from = said.all, {}, 1
  for _, name in ipairs(NAMES) do
    local ends = all:find("\n", from, true)
    if ends > from then
      found[name] = all:sub(from, ends - 1)
    end
    from = ends + 1
  end
  return found
end

-- Note for the log why an answer is not the provider's own.
function M.note(handle, why)
  handle:streamInfo():dynamicMetadata():set("sparekey", "why", why)
end

return M
