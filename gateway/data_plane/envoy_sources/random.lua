-- Bytes that nobody can guess. Envoy's Lua brings none.
local SOURCE = "/dev/urandom"
local AT_ONCE = 4096

local M = {}
local ready, used = "", 0

-- Return so many bytes, each given out once.
function M.bytes(count)
  if used + count > #ready then
    local source = assert(io.open(SOURCE, "rb"))
    ready, used = source:read(AT_ONCE), 0
    source:close()
    assert(ready and #ready == AT_ONCE, "no random bytes")
  end
  used = used + count
  return ready:sub(used - count + 1, used)
end

-- Return a number by which a page and a line of the log are found, in hexadecimal digits.
function M.reference()
  return (M.bytes(8):gsub(".", function(byte)
    return string.format("%02x", byte:byte())
  end))
end

return M
