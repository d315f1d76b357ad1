-- Claims that the gateway signed: "this session was found covered". This side can check them, not make them.
local encoding = require "sparekey.encoding"
local settings = require "sparekey.settings"

local LONGEST = 256
local MOST_VERIFIED = 2000
local MOST_CLIENTS = 1000

local M = {}
local keys = {}
-- What verified, with its signature: whoever asks again within the claim's life costs no second verification.
local verified, verified_count = {}, 0
local names, name_count = {}, 0
for _, text in ipairs(settings.keys) do
  keys[#keys + 1] = assert(encoding.from_base64(text), "a public key cannot be read")
end

-- Return the name of the cookie with the claim for a client.
function M.cookie_name(client)
  local name = names[client]
  if not name then
    name = settings.decided .. "-" .. encoding.crc32(client)
    if name_count < MOST_CLIENTS then
      names[client], name_count = name, name_count + 1
    end
  end
  return name
end

-- Return version, end and signature of a token that could still hold; nothing is verified yet.
local function read(token)
  if not token or #token > LONGEST then
    return nil
  end
  local version, ends, signature = token:match("^(%d+)%.(%d+)%.([%w_-]+)$")
  if not version or tonumber(ends) <= os.time() then
    return nil
  end
  return version, ends, signature
end

-- Tell whether a token is worth an answer of the provider: of this policy, and not over.
function M.may_hold(token, policy_version)
  return policy_version ~= nil and read(token) == policy_version
end

-- Tell whether one of the keys signed a text.
local function is_signed(handle, text, signature)
  local raw = encoding.from_base64(signature)
  for _, key in ipairs(raw and keys or {}) do
    -- Envoy knows an imported key for one request only.
    local imported = handle:importPublicKey(key, #key):get()
    if handle:verifySignature("sha256", imported, raw, #raw, text, #text) == true then
      return true
    end
  end
  return false
end

-- Tell whether a token speaks of exactly these facts: issuer, session, client, redirect address, network address.
function M.holds(handle, token, facts, policy_version)
  local version, ends, signature = read(token)
  if not version or version ~= policy_version then
    return false
  end
  local message = { "sparekey decided 1" }
  for _, fact in ipairs { facts.issuer, facts.session, facts.client, facts.redirect, facts.address, version, ends } do
    message[#message + 1] = #fact .. ":" .. fact
  end
  local whole = table.concat(message, "\n")
  if verified[whole] == signature then
    return true
  elseif not is_signed(handle, whole, signature) then
    return false
  end
  if verified_count >= MOST_VERIFIED then
    verified, verified_count = {}, 0
  end
  verified[whole], verified_count = signature, verified_count + 1
  return true
end

return M
