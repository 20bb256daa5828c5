-- What wrk has measured, as one line of JSON; times in milliseconds.
done = function(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "errors": %d, "p50": %.2f, "p95": %.2f, "p99": %.2f, "most": %.2f}\n', summary.requests,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout, latency:percentile(50) / 1000,
        latency:percentile(95) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
