"""Load from wrk, and its cost for the server."""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import CORES, Server, on_core

_SCRIPT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests":%d,"us":%d,"p50":%f,"p99":%f,"p999":%f,"failed":%d,"status":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), e.connect + e.read + e.write + e.timeout, e.status))
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

_SETTLE = 0.25
"""Seconds before a round, in which another server on the same core ends what it still has to do."""


@dataclass(frozen=True)
class Measurement:
    """One round: requests per second, milliseconds, microseconds of the server's CPU per
    request."""

    rps: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
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
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(_SCRIPT + (_POST % body if body else ""))
        file.flush()
        command = _wrk(server, path, concurrency, seconds, headers, script=Path(file.name))
        time.sleep(_SETTLE)
        before = server.cpu_seconds()
        output = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 60, check=True
        ).stdout
        cpu = server.cpu_seconds() - before
    result = json.loads(output.partition("RESULT ")[2].splitlines()[0])
    count = max(1, result["requests"])
    unexpected = count - result["status"] if fails else result["status"]
    return Measurement(
        rps=result["requests"] / (result["us"] / 1e6),
        p50_ms=result["p50"] / 1000,
        p99_ms=result["p99"] / 1000,
        p999_ms=result["p999"] / 1000,
        cpu_us=cpu / count * 1e6,
        errors=result["failed"] + unexpected,
    )


@contextmanager
def beside(server: Server, path: str, concurrency: int, headers: dict[str, str]) -> Iterator[None]:
    """Keep so many clients on a path meanwhile."""
    process = subprocess.Popen(
        _wrk(server, path, concurrency, 600, headers), stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _wrk(
    server: Server,
    path: str,
    concurrency: int,
    seconds: int,
    headers: dict[str, str],
    script: Path | None = None,
) -> list[str]:
    command = [*(on_core(1 % CORES) if server.pinned else []), "wrk", "-t1", f"-c{concurrency}"]
    command += [f"-d{seconds}s", "--timeout", "20s", *(["-s", str(script)] if script else [])]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    return [*command, f"http://127.0.0.1:{server.port}{path}"]
