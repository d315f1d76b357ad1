-- Encodings that Envoy's Lua does not bring.
local bit = require "bit"

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
local POLYNOMIAL = 0xEDB88320

local M = {}

local digits = { ["+"] = 62, ["-"] = 62, ["/"] = 63, ["_"] = 63 }
for at = 1, #ALPHABET do
  digits[ALPHABET:sub(at, at)] = at - 1
end

-- Return the bytes that base64 of either alphabet stands for, or nil.
function M.from_base64(text)
  local bare = text:gsub("=+$", "")
  if bare:find("[^%w+/_-]") or #bare % 4 == 1 then
    return nil
  end
  local bytes, held, held_bits = {}, 0, 0
  for digit in bare:gmatch(".") do
    held, held_bits = held * 64 + digits[digit], held_bits + 6
    if held_bits >= 8 then
      held_bits = held_bits - 8
      local rest = 2 ^ held_bits
      bytes[#bytes + 1] = string.char(math.floor(held / rest))
      held = held % rest
    end
  end
  return table.concat(bytes)
end

-- Return a number as `zlib.crc32` makes it, in eight hexadecimal digits.
function M.crc32(text)
  local sum = bit.bnot(0)
  for at = 1, #text do
    sum = bit.bxor(sum, text:byte(at))
    for _ = 1, 8 do
      local mask = -bit.band(sum, 1)
      sum = bit.bxor(bit.rshift(sum, 1), bit.band(POLYNOMIAL, mask))
    end
  end
  return bit.tohex(bit.bnot(sum))
end

-- Return a text of an address without escapes.
function M.unescaped(text)
  if not text:find("%", 1, true) then
    return text
  end
  return (text:gsub("%%(%x%x)", function(digits_of_byte)
    return string.char(tonumber(digits_of_byte, 16))
  end))
end

return M
