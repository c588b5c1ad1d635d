-- Asks for the addresses in a file, one after another, and prints what that took, as JSON.

local addresses, at = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    addresses[#addresses + 1] = line
  end
end

function request()
  at = at % #addresses + 1
  return wrk.format("GET", addresses[at])
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  io.write(string.format(
    '\n{"requests": %d, "failed": %d, "median": %f, "p99": %f, "seconds": %f}\n',
    summary.requests, failed, latency:percentile(50) / 1000, latency:percentile(99) / 1000, summary.duration / 1e6))
end
