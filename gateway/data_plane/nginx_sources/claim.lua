-- Claims that the gateway signed: "this session was found covered". This side can check them, not make them.
local ffi = require "ffi"
local base64 = require "ngx.base64"
local least_recent = require "resty.lrucache"

ffi.cdef [[
typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_md_ctx_st EVP_MD_CTX;
typedef struct evp_md_st EVP_MD;
EVP_PKEY *d2i_PUBKEY(EVP_PKEY **key, const unsigned char **der, long length);
EVP_MD_CTX *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(EVP_MD_CTX *context);
const EVP_MD *EVP_sha256(void);
int EVP_DigestVerifyInit(EVP_MD_CTX *context, void **inner, const EVP_MD *digest, void *engine, EVP_PKEY *key);
int EVP_DigestVerify(EVP_MD_CTX *context, const unsigned char *signature, size_t signature_length,
                     const unsigned char *message, size_t message_length);
void ERR_clear_error(void);
int RAND_bytes(unsigned char *bytes, int count);
]]

local C = ffi.C
local BROWSER_BYTES = 24
local BROWSERS_AT_ONCE = 64
local LONGEST = 256
local MOST_VERIFIED = 2000

local M = {}
local keys = {}

-- Take the public keys: base64 of SubjectPublicKeyInfo, P-256, newest first.
function M.open(encoded)
  for _, text in ipairs(encoded) do
    local der = ngx.decode_base64(text)
    local at = ffi.new("const unsigned char *[1]", ffi.cast("const unsigned char *", der))
    local key = C.d2i_PUBKEY(nil, at, #der)
    assert(key ~= nil, "a public key cannot be read")
    keys[#keys + 1] = key
  end
end

local function is_signed(message, signature)
  for _, key in ipairs(keys) do
    local context = C.EVP_MD_CTX_new()
    local good = C.EVP_DigestVerifyInit(context, nil, C.EVP_sha256(), nil, key) == 1
      and C.EVP_DigestVerify(context, signature, #signature, message, #message) == 1
    C.EVP_MD_CTX_free(context)
    -- What is left in OpenSSL's queue would be taken for a failure of somebody's TLS.
    C.ERR_clear_error()
    if good then
      return true
    end
  end
  return false
end

-- Return version, end and signature of a token that could still hold; nothing is verified yet.
local function read(token)
  if not token or #token > LONGEST then
    return nil
  end
  local version, ends, signature = token:match("^(%d+)%.(%d+)%.([%w_-]+)$")
  if not version or tonumber(ends) <= ngx.time() then
    return nil
  end
  return version, ends, signature
end

-- Tell whether a token is worth an answer of the provider: of this policy, and not over.
function M.may_hold(token, policy_version)
  return policy_version ~= nil and read(token) == policy_version
end

local verified = assert(least_recent.new(MOST_VERIFIED))

local function fact(text)
  return "\n" .. #text .. ":" .. text
end

local function message_of(facts, version, ends)
  return "sparekey decided 1"
    .. fact(facts.issuer)
    .. fact(facts.session)
    .. fact(facts.client)
    .. fact(facts.redirect)
    .. fact(facts.address)
    .. fact(version)
    .. fact(ends)
end

-- Tell whether a token speaks of exactly these facts: issuer, session, client, redirect address, network address.
function M.holds(token, facts, policy_version)
  local version, ends, signature = read(token)
  if not version or version ~= policy_version then
    return false
  end
  local message = message_of(facts, version, ends)
  -- A signature is true of one message for ever; that it is over was looked at before.
  if verified:get(token) == message then
    return true
  end
  local raw = base64.decode_base64url(signature)
  if not raw or not is_signed(message, raw) then
    return false
  end
  verified:set(token, message)
  return true
end

local random, random_left = ffi.new("unsigned char[?]", BROWSER_BYTES * BROWSERS_AT_ONCE), 0

-- Return a fresh id of a browser, as the gateway makes them.
function M.new_browser()
  if random_left == 0 then
    assert(C.RAND_bytes(random, BROWSER_BYTES * BROWSERS_AT_ONCE) == 1, "no random bytes")
    random_left = BROWSERS_AT_ONCE
  end
  random_left = random_left - 1
  return base64.encode_base64url(ffi.string(random + random_left * BROWSER_BYTES, BROWSER_BYTES))
end

return M
