"""Log handlers that notify operators: `make bench-handlers`.

Each handler is in a process of its own, which logs 50 errors, 50 ms apart. The mail server answers
each command after 50 ms, and so does the server to which sentry-sdk sends. Measured: how long a
call of `logger.exception` takes, how many mails come until the process has ended, and how many
errors nobody knows of if the process is killed with SIGKILL after the 25th. The first call of a
process, which loads modules and starts threads, is shown apart.

An error is known if it is in a mail (of its own, or in the count of one), or at Sentry's server.
With a spool, the next process sends what is left.
"""

import argparse
import gzip
import json
import logging
import logging.handlers
import os
import platform
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median, quantiles
from typing import Any, NamedTuple

from tests.post_office import PostOffice

ERRORS = 50
KILLED_AFTER = 25
APART = 0.05
ANSWER = 0.05

CONTENDERS = {
    "smtp": "SMTPHandler",
    "queue": "QueueHandler, QueueListener, SMTPHandler",
    "sentry": "sentry-sdk",
    "ours": "QueuedSMTPHandler",
    "spool": "QueuedSMTPHandler with a spool",
}


class Row(NamedTuple):
    """What was measured of one handler: times in seconds, and numbers of the last round."""

    calls: list[float]
    mails: int
    lost: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        log_errors(*given.child)
        return
    print(
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {os.cpu_count()} CPUs,"
    )
    print(f"a load of {os.getloadavg()[0]:.1f}; {given.rounds} rounds of {ERRORS} errors\n")
    print("| handler | in the caller, p50 | p99 | first call | mails for 50 errors | lost of 25 |")
    print("|---|--:|--:|--:|--:|--:|")
    rows: dict[str, list[Row]] = {kind: [] for kind in given.only}
    for _ in range(given.rounds):  # in turn, so that the load of the machine hits all of them
        for kind in given.only:
            rows[kind].append(measure(kind))
    for kind, found in rows.items():
        calls = [call for row in found for call in row.calls[1:]]
        first = median(row.calls[0] for row in found)
        mails = "-" if kind == "sentry" else str(max(row.mails for row in found))
        print(
            f"| {CONTENDERS[kind]} | {milliseconds(median(calls))} ms"
            f" | {milliseconds(quantiles(calls, n=100)[98])} ms"
            f" | {milliseconds(first)} ms | {mails} | {max(row.lost for row in found)} |"
        )


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g}"


def measure(kind: str) -> Row:
    with servers() as (post, events), tempfile.TemporaryDirectory() as spool:
        calls = json.loads(run(kind, "end", post, events, f"{spool}/a").stdout)
        mails = len(post.server.mails)
        assert known(kind, post, events) == ERRORS, "an error was lost without a kill"
    with servers() as (post, events), tempfile.TemporaryDirectory() as spool:
        run(kind, "kill", post, events, f"{spool}/b", code=-signal.SIGKILL)
        if kind == "spool":
            run(kind, "nothing", post, events, f"{spool}/b")
        time.sleep(0.5)  # a server may be in the middle of a mail
        return Row(calls, mails, KILLED_AFTER - known(kind, post, events))


def known(kind: str, post: PostOffice, events: list[bytes]) -> int:
    """How many errors somebody knows of."""
    if kind == "sentry":
        return len(events)
    if kind in {"smtp", "queue"}:
        return len(post.server.mails)
    counts = {"once": 1} | {f"{number} times": number for number in range(2, ERRORS + 1)}
    return max((counts[count] for count in post.counts), default=0)


def run(
    kind: str, end: str, post: PostOffice, events: list[bytes], spool: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    port = post.address[1] if kind != "sentry" else events_port(events)
    command = [sys.executable, "-m", "benchmarks.smtp_handlers", "--child"]
    done = subprocess.run(
        [*command, kind, end, str(port), spool], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def log_errors(kind: str, end: str, port: str, spool: str) -> None:
    """The process that is measured; it prints the times of its calls."""
    logger = logging.getLogger("shop")
    logger.propagate = False
    close = install(logger, kind, int(port), spool)
    calls = []
    for number in range(0 if end == "nothing" else ERRORS):
        try:
            fail(number)
        except RuntimeError:
            before = time.perf_counter()
            logger.exception("Exception on /orders/%d", number)
            calls.append(time.perf_counter() - before)
        if end == "kill" and number + 1 == KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(APART)
    close()
    print(json.dumps(calls))


def fail(number: int) -> None:
    raise RuntimeError(f"order {number} cannot be stored")


def install(logger: logging.Logger, kind: str, port: int, spool: str) -> Any:
    """Add a handler; returns what ends it."""
    if kind == "sentry":
        import sentry_sdk

        sentry_sdk.init(dsn=f"http://key@127.0.0.1:{port}/1")
        logger.propagate = True  # it listens to all loggers
        return lambda: sentry_sdk.flush(timeout=30)
    arguments = (("127.0.0.1", port), "a@example.com", ["b@example.com"], "Failure")
    handler: logging.Handler = logging.handlers.SMTPHandler(*arguments)
    if kind in {"ours", "spool"}:
        from quartapp.reporting import QueuedSMTPHandler

        folder = spool if kind == "spool" else None
        handler = QueuedSMTPHandler(*arguments, spool=folder)
    elif kind == "queue":
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        listener = logging.handlers.QueueListener(waiting, handler)
        listener.start()
        logger.addHandler(logging.handlers.QueueHandler(waiting))
        return listener.stop
    logger.addHandler(handler)
    return handler.close


_ports: dict[int, int] = {}


def events_port(events: list[bytes]) -> int:
    return _ports[id(events)]


@contextmanager
def servers() -> Iterator[tuple[PostOffice, list[bytes]]]:
    """A mail server, and one that takes Sentry's events."""
    events: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding"):
                body = gzip.decompress(body)  # raises if brotli is installed
            time.sleep(ANSWER)
            if b'"type":"event"' in body.replace(b" ", b""):
                events.append(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    _ports[id(events)] = server.server_address[1]
    try:
        with closing(PostOffice()) as post:
            post.server.delay = ANSWER
            post.start()
            yield post, events
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    main()
