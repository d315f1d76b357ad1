-- Pages of ours that nginx answers with itself.
local settings = require "sparekey.settings"

local M = {}

-- Return a page with the number that finds the log line.
function M.with_reference(page)
  return (page:gsub("REFERENCE", (ngx.var.request_id:sub(1, 8))))
end

-- Set status and fields of an answer that is a page of ours, already with its number.
function M.begin(status, page)
  ngx.status = status
  for name, value in pairs(settings.page_fields) do
    ngx.header[name] = value
  end
  ngx.header.content_length = #page
end

-- Answer with a page of ours from the beginning.
function M.answer(status, page)
  local whole = M.with_reference(page)
  M.begin(status, whole)
  ngx.print(whole)
end

-- Say that somebody behind us does not answer: of one request this releases nothing.
function M.unanswered()
  ngx.var.sparekey_why = "unanswered"
  M.answer(503, settings.outage)
end

return M
