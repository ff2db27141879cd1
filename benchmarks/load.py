"""Load from wrk, and its cost for the server."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import CORES, Server, pinned

_SCRIPT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests":%d,"us":%d,"p50":%f,"p99":%f,"failed":%d,"status":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout, e.status))
end
"""

_POST = """
local count, body = 0, "%s"
wrk.method = "POST"
request = function()
  count = count + 1
  return wrk.format(nil, nil, nil, body .. "&about_me=text+" .. count)
end
"""


@dataclass(frozen=True)
class Measurement:
    """One round: requests per second, milliseconds, microseconds of the server's CPU per
    request."""

    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    errors: int


def press(
    server: Server,
    path: str,
    concurrency: int,
    seconds: int,
    headers: dict[str, str],
    *,
    body: str = "",
    fails: bool = False,
) -> Measurement:
    """Send requests for a while. With `fails`, an answer without an error status is an error."""
    script = _SCRIPT + (_POST % body if body else "")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = [*pinned(1 % CORES), "wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s"]
        command += ["--timeout", "20s", "-s", str(Path(file.name))]
        for name, value in headers.items():
            command += ["-H", f"{name}: {value}"]
        before = server.cpu_seconds()
        output = subprocess.run(
            [*command, f"http://127.0.0.1:{server.port}{path}"],
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=True,
        ).stdout
        cpu = server.cpu_seconds() - before
    result = json.loads(output.partition("RESULT ")[2].splitlines()[0])
    count = max(1, result["requests"])
    unexpected = count - result["status"] if fails else result["status"]
    return Measurement(
        rps=result["requests"] / (result["us"] / 1e6),
        p50_ms=result["p50"] / 1000,
        p99_ms=result["p99"] / 1000,
        cpu_us=cpu / count * 1e6,
        errors=result["failed"] + unexpected,
    )
