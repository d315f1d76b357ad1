-- Claims that the gateway signed: "this session was found covered". This side can check them, not make them.
local encoding = require "sparekey.encoding"
local settings = require "sparekey.settings"

local LONGEST = 256
local MOST_VERIFIED = 2000

local M = {}
local keys = {}
-- What verified, with its signature: whoever asks again within the claim's life costs no second verification.
local verified, verified_count = {}, 0
for _, text in ipairs(settings.keys) do
  keys[#keys + 1] = assert(encoding.from_base64(text), "a public key cannot be read")
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

-- Tell whether a token speaks of exactly these facts: issuer, session, client, redirect address, network address.
function M.holds(handle, token, facts, policy_version)
  local version, ends, signature = read(token)
  if not version or version ~= policy_version then
    return false
  end
  local raw = encoding.from_base64(signature)
  if not raw then
    return false
  end
  local message = { "sparekey decided 1" }
  for _, fact in ipairs { facts.issuer, facts.session, facts.client, facts.redirect, facts.address, version, ends } do
    message[#message + 1] = #fact .. ":" .. fact
  end
  local whole = table.concat(message, "\n")
  if verified[whole] == raw then
    return true
  end
  for _, key in ipairs(keys) do
    -- Envoy knows an imported key for one request only.
    local imported = handle:importPublicKey(key, #key):get()
    if handle:verifySignature("sha256", imported, raw, #raw, whole, #whole) == true then
      if verified_count >= MOST_VERIFIED then
        verified, verified_count = {}, 0
      end
      verified[whole], verified_count = raw, verified_count + 1
      return true
    end
  end
  return false
end

return M
