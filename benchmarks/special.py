"""Three measurements that need more than load on a path."""

import asyncio
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.load import Measurement, press
from benchmarks.results import TWINS, Row, add_ratios, row
from benchmarks.servers import Server

NAMES = {"sqlite": ("storm", "start"), "postgresql": ("slow_database",)}

ERRORS_A_SECOND = 40
MAIL_SECONDS = 1.0
STORM_SECONDS = 6
STARTS = 7
SLOW_CONNECTIONS = 240
"""Connections for the slow database; the server must allow a few more (max_connections)."""


class _SlowMail(socketserver.StreamRequestHandler):
    """A mail server that takes MAIL_SECONDS to accept a mail."""

    def handle(self) -> None:
        self.wfile.write(b"220 slow\r\n")
        in_data = False
        for line in self.rfile:
            command = line[:4].upper().strip()
            if in_data:
                if line == b".\r\n":
                    in_data = False
                    time.sleep(MAIL_SECONDS)
                    self.wfile.write(b"250 taken\r\n")
            elif command == b"DATA":
                in_data = True
                self.wfile.write(b"354 go on\r\n")
            elif command == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


class _MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: object) -> None:
        """Ignore errors: a server that is stopped drops its connections."""


@contextmanager
def slow_mail_server() -> Iterator[int]:
    """The port of a slow mail server."""
    with _MailServer(("127.0.0.1", 0), _SlowMail) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def failing_requests(port: int) -> Iterator[None]:
    """Send ERRORS_A_SECOND failing requests, each on a new connection, without waiting."""
    over = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_fail(port, over)))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


async def _fail(port: int, over: threading.Event) -> None:
    tasks: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    while not over.is_set():
        task = asyncio.create_task(_fail_once(port))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        due += 1 / ERRORS_A_SECOND
        await asyncio.sleep(max(0, due - time.monotonic()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _fail_once(port: int) -> None:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /boom HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await reader.read()
        writer.close()
    except OSError:
        pass


def storm(url: str) -> list[Row]:
    """The healthy page during a storm of errors with mails, compared with the time before."""
    rows = []
    with slow_mail_server() as mail:
        for name in ("quartapp-hypercorn", *TWINS):
            twin = name.startswith("flask")
            address = f"127.0.0.1:{mail}" if twin else "127.0.0.1"
            more = {"MAIL_SERVER": address, "MAIL_PORT": str(mail), "ADMINS": "a@example.com"}
            with Server(name, url, threads=16 if twin else 0, **more) as server:
                cookie = {"Cookie": server.log_in()}
                press(server, "/", 16, 1, cookie)
                alone = press(server, "/", 16, STORM_SECONDS, cookie)
                with failing_requests(server.port):
                    time.sleep(1)
                    during = press(server, "/", 16, STORM_SECONDS, cookie)
            found = row("storm", "sqlite", 16, name, [during], server.threads)
            found["ratios"]["itself"] = round(during.rps / alone.rps, 3)
            found["p99_ratio"] = round(during.p99_ms / alone.p99_ms, 2) if alone.p99_ms else None
            print(
                f"storm {name}: {alone.rps:.0f}/s alone, {during.rps:.0f}/s during, "
                f"p99 {alone.p99_ms:.0f} and {during.p99_ms:.0f} ms",
                flush=True,
            )
            rows.append(found)
    return rows


def slow_database(url: str) -> list[Row]:
    """A query of 100 ms from 256 clients; the twins have 64 threads."""
    rows = []
    for name in ("quartapp-hypercorn", *TWINS):
        twin = name.startswith("flask")
        more = {} if twin else {"DATABASE_POOL_SIZE": str(SLOW_CONNECTIONS)}
        with Server(name, url, threads=64 if twin else 0, **more) as server:
            press(server, "/slow_database", 256, 2, {})
            rounds = [press(server, "/slow_database", 256, 4, {}) for _ in range(3)]
            rows.append(row("slow_database", "postgresql", 256, name, rounds, server.threads))
            print(f"slow_database {name}: {rows[-1]['rps']:.0f}/s", flush=True)
    return add_ratios(rows)


def start(url: str) -> list[Row]:
    """Seconds to the first response, and memory after some pages. `rps` is starts per second."""
    rows = []
    rounds: dict[str, list[Measurement]] = {}
    memory: dict[str, list[int]] = {}
    for name in ("quartapp-hypercorn", *TWINS):
        Server(name, url, threads=4).close()  # fills the caches of bytecode and disk
    for _ in range(STARTS):
        for name in ("quartapp-hypercorn", *TWINS):
            threads = 4 if name.startswith("flask") else 0
            with Server(name, url, threads=threads) as server:
                cookie = server.log_in()
                for _ in range(20):
                    server.get("/", Cookie=cookie)
                milliseconds = server.start_seconds * 1000
                memory.setdefault(name, []).append(server.memory_bytes())
            once = Measurement(1000 / milliseconds, milliseconds, milliseconds, 0, 0)
            rounds.setdefault(name, []).append(once)
    for name, measured in rounds.items():
        found = row("start", "sqlite", 1, name, measured)
        found["rps"] = round(1000 / found["p50_ms"], 3)
        found["memory_mb"] = round(sorted(memory[name])[STARTS // 2] / 1e6, 1)
        print(f"start {name}: {found['p50_ms']:.0f} ms, {found['memory_mb']} MB", flush=True)
        rows.append(found)
    return add_ratios(rows)


MEASURES: dict[str, Callable[[str], list[Row]]] = {
    "storm": storm,
    "slow_database": slow_database,
    "start": start,
}
