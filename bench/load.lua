-- What wrk is told beyond its command line: how many requests to send at once and how many bytes of body to upload with
-- each, or which body (the script's arguments), and to end with one line of JSON, whose figures are exact and whose histogram is whole, where wrk's own text rounds and summarises.

function init(args)
   local depth, upload = tonumber(args[1]) or 1, tonumber(args[2]) or 0
   if upload > 0 then
      wrk.method, wrk.body = "POST", string.rep("x", upload)
   end
   if (args[3] or "") ~= "" then
      wrk.method, wrk.body = "POST", args[3]
   end
   if depth > 1 then
      local batch = string.rep(wrk.format(), depth)
      request = function() return batch end
   end
end

function done(summary, latency, requests)
   local histogram = {}
   for i = 1, #latency do
      histogram[i] = string.format("[%d,%d]", latency(i))
   end
   local errors = summary.errors
   io.write(string.format(
      '\nresult {"requests": %d, "microseconds": %d, "latencies": [%s],' ..
      ' "errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}}\n',
      summary.requests, summary.duration, table.concat(histogram, ","),
      errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
