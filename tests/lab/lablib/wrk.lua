-- SPDX-License-Identifier: Apache-2.0
-- Prints wrk's result as one line of JSON.
function done(summary)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "bytes": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout))
end
