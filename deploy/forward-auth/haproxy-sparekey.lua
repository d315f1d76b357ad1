-- Asks Sparekey about a request: `http-request lua.sparekey 127.0.0.1:9091`.
-- Either it goes on with the fields that say who somebody is, or it ends here.

local OF_BROWSER = { "cookie", "accept", "x-requested-with", "sec-fetch-mode", "sec-fetch-dest" }
local OF_PERSON = { "remote-user", "remote-name", "remote-email", "remote-groups" }
local OF_ANSWER = {
  "location", "set-cookie", "cache-control", "referrer-policy", "content-type", "content-security-policy",
  "www-authenticate",
}

local function values(headers, name)
  local found = {}
  local position = 0
  while headers[name] and headers[name][position] do
    found[#found + 1] = headers[name][position]
    position = position + 1
  end
  return found
end

local function question(txn)
  local sent = txn.http:req_get_headers()
  local headers = {
    ["x-forwarded-host"] = values(sent, "host"),
    ["x-forwarded-uri"] = { txn.sf:pathq() },
    ["x-forwarded-method"] = { txn.sf:method() },
  }
  for _, name in ipairs(OF_BROWSER) do
    local found = values(sent, name)
    if #found > 0 then headers[name] = { table.concat(found, name == "cookie" and "; " or ", ") } end
  end
  return headers
end

local function stop(txn, answer)
  local reply = txn:reply({ status = answer.status, body = answer.body })
  for _, name in ipairs(OF_ANSWER) do
    for _, value in ipairs(values(answer.headers, name)) do reply:add_header(name, value) end
  end
  txn:done(reply)
end

core.register_action("sparekey", { "http-req" }, function(txn, address)
  local answer = core.httpclient():get({
    url = "http://" .. address .. "/sparekey/auth",
    headers = question(txn),
    timeout = 5000,
  })
  if not answer or not answer.status or answer.status < 100 then
    -- Whoever cannot be asked about does not pass.
    txn:done(txn:reply({ status = 503 }))
  elseif answer.status == 200 then
    for _, name in ipairs(OF_PERSON) do
      txn.http:req_del_header(name)
      local found = values(answer.headers, name)
      if found[1] then txn.http:req_set_header(name, found[1]) end
    end
  else
    stop(txn, answer)
  end
end, 1)
