"""The cost of reporting for a request: `python -m benchmarks.reporting_pipeline`.

It measures two things. First the recorder, on the IntegrityError of a view with 54 frames, with the
journal on a real disk, in CPU time: the first occurrence of an error, and a repeated one. Then
healthy requests to a real server, alone and during 40 errors per second whose mails take a second
each. The budgets: a median of 0.3 ms and a 99th percentile of 1 ms for a new error, 50 us for a
repeated one; at least 0.97 of the requests, and at most 1.2 times their 99th percentile. The second
part needs an otherwise idle machine.
"""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

from benchmarks.reporting_capture import integrity_error
from quartapp.microblog.migrate import migrate
from quartapp.microblog.testing import environment
from quartapp.redact.context import Context
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.hooks.request_context import request_context
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin
from quartapp.testing.server import LiveServer

ROOT = Path(__file__).parents[1]
SERVE = ROOT / "tests" / "microblog" / "serve.py"

MAIL_SERVER = """
import asyncio
from quartapp.testing.mail import MailServer
async def main():
    server = MailServer(delay=1 / 3)
    await server.start()
    print(server.port, flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""


class Sockets:
    """Counts sockets and statements; recording must use neither."""

    def __init__(self) -> None:
        # After the timing, because an audit hook cannot be removed and slows down reading frames.
        self.events = 0
        self.on = True
        sys.addaudithook(self._hook)

    def _hook(self, event: str, _: object) -> None:
        if self.on and event.startswith(("socket.", "sqlite3.")):
            self.events += 1


def recording(rounds: int) -> None:
    error = asyncio.run(integrity_error())
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        clock = [time.time()]
        journal = Journal(Path(folder), max_bytes=1 << 40, reports_bytes=1 << 40)
        recorder = Recorder(
            journal,
            places=Places(Path(__file__).parent),
            origin=lambda: Origin("production", "v1", "host", "1"),
            scrubber=Scrubber(),
            clock=lambda: clock[0],
        )
        context = request_context("request", lambda: "7")
        new: list[float] = []
        repeated: list[float] = []
        for number in range(rounds):
            clock[0] += 61  # a new minute: a full report again
            new.append(timed(recorder, error, context))
            if number % 10 == 0:
                for _ in range(5):
                    timed(recorder, error, context)
                repeated += [timed(recorder, error, context) for _ in range(50)]
        watch = Sockets()
        clock[0] += 61
        for _ in range(10):
            timed(recorder, error, context)
        watch.on = False
        journal.close()
    print(f"new error       p50 {median(new) * 1e3:6.3f} ms   p99 {last(new) * 1e3:6.3f} ms")
    print(
        f"repeated error  p50 {median(repeated) * 1e6:6.1f} us   p99 {last(repeated) * 1e6:6.1f} us"
    )
    print(f"sockets and statements while recording: {watch.events}")


def timed(recorder: Recorder, error: BaseException, context: Context) -> float:
    """Seconds of CPU time, so that other work on the machine does not count."""
    began = time.thread_time()
    recorder.record(error, lambda: context)
    return time.thread_time() - began


def last(times: list[float]) -> float:
    return quantiles(times, n=100)[-1]


async def ask(host: str, port: int, path: str, until: float, pause: float) -> list[float]:
    """One client that keeps its connection; the time of each response."""
    times: list[float] = []
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection(host, port)
    while time.monotonic() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.splitlines()
            if b"content-length" in line.lower()
        )
        await reader.readexactly(length)
        times.append(time.perf_counter() - began)
        await asyncio.sleep(pause)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return times


async def load(url: str, seconds: float, *, errors: bool) -> tuple[float, float]:
    """Healthy requests per second, and their 99th percentile in seconds."""
    address = urlsplit(url)
    assert address.hostname
    assert address.port
    until = time.monotonic() + seconds
    # Paced, to compare waiting times and not the competition for the CPU.
    healthy = [ask(address.hostname, address.port, "/health", until, 0.01) for _ in range(4)]
    failing = [ask(address.hostname, address.port, "/boom", until, 0.1) for _ in range(4)]
    results = await asyncio.gather(*healthy, *(failing if errors else []))
    for unused in [] if errors else failing:
        unused.close()
    times = [one for result in results[:4] for one in result]
    return len(times) / seconds, last(times)


def beside_errors(seconds: float, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite+aiosqlite:///{folder / 'bench.db'}"
        migrate(url)
        with (
            subprocess.Popen(
                [sys.executable, "-c", MAIL_SERVER], stdout=subprocess.PIPE, text=True
            ) as mail_server,
            ExitStack() as stack,
        ):
            stack.callback(mail_server.kill)
            assert mail_server.stdout is not None
            given = environment(folder, url) | {
                "PYTHONPATH": str(ROOT),
                "MAIL_SERVER": "127.0.0.1",
                "MAIL_PORT": mail_server.stdout.readline().strip(),
                "ADMINS": "ops@example.com",
                "ERRORS_EVERY_OCCURRENCE": "true",
            }
            alone: list[tuple[float, float]] = []
            beside: list[tuple[float, float]] = []
            with LiveServer(given, [str(SERVE)]) as server:
                for number in range(
                    rounds
                ):  # in turns, so that changes of the machine's load affect both
                    alone.append(asyncio.run(load(server.url, seconds, errors=False)))
                    beside.append(asyncio.run(load(server.url, seconds, errors=True)))
                    print(f"round {number + 1} of {rounds}", flush=True)
    rates = [median(rate for rate, _ in runs) for runs in (alone, beside)]
    p99s = [median(p99 for _, p99 in runs) for runs in (alone, beside)]
    print(f"alone          {rates[0]:7.1f} requests/s   p99 {p99s[0] * 1e3:6.2f} ms")
    print(f"with errors    {rates[1]:7.1f} requests/s   p99 {p99s[1] * 1e3:6.2f} ms")
    print(f"ratio          {rates[1] / rates[0]:7.3f}              {p99s[1] / p99s[0]:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000, help="new errors to record")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--loads", type=int, default=3, help="loads of each kind")
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors")
    recording(given.rounds)
    beside_errors(given.seconds, given.loads)


if __name__ == "__main__":
    main()
