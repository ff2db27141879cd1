"""Three measurements that need more than load on a path: storm, bystanders, start."""

import asyncio
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.cells import EQUAL_MEMORY, compared
from benchmarks.load import Measurement, beside, press
from benchmarks.results import Row, add_ratios, row
from benchmarks.scenarios import SPECIAL
from benchmarks.servers import QUARTAPP, TUNED, TWINS, Server, Servers

ERRORS_A_SECOND = 40
MAIL_SECONDS = 1.0

ROUNDS, SECONDS, STARTS = 4, 2, 2
FEW = 8
"""Bystanders: clients of the fast page."""
SLOW_CLIENTS, CONNECTIONS, MOST_THREADS = 200, 240, 256
"""Bystanders of a slow query. PostgreSQL must allow a few more connections (max_connections)."""
SETTLE_SECONDS = 4
"""After which the slow clients no longer get their responses all at the same moment."""


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


def storm(servers: Servers, _database: str) -> list[Row]:
    """The healthy page during a storm of errors with mails, compared with the time before."""
    rows = []
    with slow_mail_server() as mail:
        for name in (QUARTAPP, *compared(servers)):
            twin = name in TWINS
            address = f"127.0.0.1:{mail}" if twin else "127.0.0.1"
            more = {"MAIL_SERVER": address, "MAIL_PORT": str(mail), "ADMINS": "a@example.com"}
            with _another(servers, name, 16 if twin else 0, **more) as server:
                cookie = {"Cookie": server.log_in()}
                press(server, "/", 16, 1, cookie)
                alone = [press(server, "/", 16, SECONDS, cookie) for _ in range(ROUNDS)]
                with failing_requests(server.port):
                    time.sleep(1)
                    during = [press(server, "/", 16, SECONDS, cookie) for _ in range(ROUNDS)]
                rows.append(_beside(row("storm", "sqlite", 16, server, during), alone))
    return add_ratios(rows)


def bystanders(servers: Servers, database: str) -> list[Row]:
    """What /ping and the index get beside clients of something slow.

    On SQLite: /ping beside more clients of the index than one core can serve. On PostgreSQL: /ping
    and the index beside clients of a query of a second; the tuned twin has a thread for each of
    them, and then as many as fit into quartapp's memory.
    """
    if database == "sqlite":
        rows = _bystanders(servers, QUARTAPP) + _bystanders(servers, TUNED, 64)
    else:
        ours = _bystanders(servers, QUARTAPP, connections=CONNECTIONS)
        best = _bystanders(servers, TUNED, MOST_THREADS, CONNECTIONS)
        rows = ours + best
        if (needed := best[0]["memory_mb"]) > (most := ours[0]["memory_mb"]):
            small = servers.get(TUNED, 4).memory_bytes() / 1e6
            fitting = max(4, int(MOST_THREADS * (most - small) / (needed - small)))
            equal = _bystanders(servers, TUNED, fitting, CONNECTIONS)
            rows += [each | {"server": EQUAL_MEMORY} for each in equal]
    for name in SPECIAL["bystanders"]:
        add_ratios([each for each in rows if each["scenario"] == name])
    return rows


def _bystanders(servers: Servers, name: str, threads: int = 0, connections: int = 0) -> list[Row]:
    """With `connections` the slow clients wait for a database, without they read the index."""
    what, path, clients = "pages", "/", 64
    paths, more = ["/ping"], dict[str, str]()
    if connections:
        what, path, clients = "queries", "/slow_query", SLOW_CLIENTS
        paths, more = ["/ping", "/"], {"DATABASE_POOL_SIZE": str(connections)}
    with _another(servers, name, threads, **more) as server:
        cookie = {"Cookie": server.log_in()}
        headers: dict[str, dict[str, str]] = {"/ping": {}, "/": cookie}

        def rounds() -> list[list[Measurement]]:
            times = [
                [press(server, each, FEW, SECONDS, headers[each]) for each in paths]
                for _ in range(ROUNDS)
            ]
            return [list(each) for each in zip(*times, strict=True)]

        for each in paths:
            press(server, each, FEW, 1, headers[each])
        alone = rounds()
        with beside(server, path, clients, cookie):
            time.sleep(SETTLE_SECONDS)
            during = rounds()
            database = "postgresql" if connections else "sqlite"
            names = (f"{short} beside {what}" for short in ("ping", "index"))
            return [
                _beside(row(name, database, FEW, server, found), before)
                for name, found, before in zip(names, during, alone, strict=False)
            ]


def _beside(found: Row, alone: list[Measurement]) -> Row:
    """Add the ratio to the same server alone. Its CPU also served others, so it is left out."""
    before = median(each.rps for each in alone)
    found["ratios"]["alone"] = round(found["rps"] / before, 2) if before else None
    found["p99_alone_ms"] = round(median(each.p99_ms for each in alone), 2)
    return found | {"cpu_us": None}


def start(servers: Servers, _database: str) -> list[Row]:
    """Milliseconds to the first response, and memory after some pages; `rps` is starts per second.

    A round is the median of a few starts.
    """
    names = (QUARTAPP, *compared(servers))
    seen: dict[str, Server] = {}
    rounds: dict[str, list[Measurement]] = {}
    memory: dict[str, list[int]] = {}
    for name in names:
        _another(servers, name, 4).close()  # fills the caches of bytecode and disk
    for _ in range(ROUNDS):
        times: dict[str, list[float]] = {}
        for name in names * STARTS:
            with _another(servers, name, 4 if name in TWINS else 0) as server:
                times.setdefault(name, []).append(server.start_seconds * 1000)
                cookie = server.log_in()
                for _ in range(20):
                    server.get("/", Cookie=cookie)
                memory.setdefault(name, []).append(server.memory_bytes())
                seen[name] = server
        for name, found in times.items():
            ms = median(found)
            rounds.setdefault(name, []).append(Measurement(1000 / ms, ms, ms, ms, 0, 0))
    rows = [row("start", "sqlite", 1, seen[name], rounds[name]) for name in seen]
    for each in rows:
        each |= {"memory_mb": round(median(memory[each["server"]]) / 1e6, 1), "cpu_us": None}
    return add_ratios(rows)


def _another(servers: Servers, name: str, threads: int, **settings: str) -> Server:
    return Server(name, servers.url, threads=threads, pinned=servers.pinned, settings=settings)


EXPECTED_SECONDS = {
    ("storm", "sqlite"): 70,
    ("start", "sqlite"): 38,
    ("bystanders", "sqlite"): 48,
    ("bystanders", "postgresql"): 90,
}
MEASURES: dict[str, Callable[[Servers, str], list[Row]]] = {
    "storm": storm,
    "start": start,
    "bystanders": bystanders,
}
