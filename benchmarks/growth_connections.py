"""Growth: the floor, other servers, many connections, and the memory of a connection."""

import socket
import statistics
import time
from contextlib import ExitStack
from typing import Any

from benchmarks.load import Measurement, press
from benchmarks.servers import TWIN_BIN, TWINS, Server

CONNECTIONS = (1, 256, 1000)
QUARTAPP = ("quartapp-hypercorn", "quartapp-uvicorn", "quartapp-granian")
SECONDS = 3
ROUNDS = 3
HELD = 400
"""Connections that are held open to measure their memory."""

FLOOR = (
    ("floor-hypercorn", "/ping"),
    ("quartapp-hypercorn", "/ping"),
    ("quartapp-hypercorn", "/static/app.css"),
    ("floor-uvicorn", "/ping"),
    ("quartapp-uvicorn", "/ping"),
    ("floor-granian", "/ping"),
    ("quartapp-granian", "/ping"),
    ("floor-gunicorn", "/ping"),
    ("flask-twin", "/ping"),
    ("flask-twin", "/static/app.css"),
)


def floor(url: str, notes: Any) -> None:
    """An application that only answers "pong", under the servers and settings of both versions."""
    notes.begin("The floor", "What is left of /ping when there is no application; c=16.", "")
    wanted = [pair for pair in FLOOR if _is_there(pair[0], notes)]
    notes.add("| server | path | requests/s | p50 ms | p99 ms | CPU us |")
    notes.add("|---|---|--:|--:|--:|--:|")
    rounds: dict[tuple[str, str], list[Measurement]] = {pair: [] for pair in wanted}
    with ExitStack() as stack:
        names = dict.fromkeys(name for name, _ in wanted)
        servers = {
            name: stack.enter_context(Server(name, url, threads=_threads(name))) for name in names
        }
        for pair in wanted:
            press(servers[pair[0]], pair[1], 16, 1, {})
        for _ in range(ROUNDS):
            for pair in wanted:
                rounds[pair].append(press(servers[pair[0]], pair[1], 16, SECONDS, {}))
    for (name, path), measured in rounds.items():
        middle = [
            statistics.median(getattr(each, field) for each in measured)
            for field in ("rps", "p50_ms", "p99_ms", "cpu_us")
        ]
        notes.add("| {} | {} | {:.0f} | {:.1f} | {:.1f} | {:.0f} |".format(name, path, *middle))


def _threads(name: str) -> int:
    return 16 if name in {"floor-gunicorn", *TWINS} else 0


def _is_there(name: str, notes: Any) -> bool:
    if name not in {"floor-gunicorn", *TWINS} or (TWIN_BIN / "gunicorn").exists():
        return True
    notes.add(f"{name} is skipped: its server is not installed.", "")
    return False


def servers(url: str, notes: Any) -> None:
    """The timeline under each server, with the numbers of connections that `make bench` leaves out.

    The servers run one after the other, each alone, so that none is slowed by what a load has left
    behind. `refused` counts the requests that quartapp does not admit under overload.
    """
    notes.begin("Servers and connections", "The timeline of a person who is logged in.", "")
    names = [name for name in (*TWINS, *QUARTAPP) if _is_there(name, notes)]
    notes.add("| server | connections | requests/s | p50 ms | p99 ms | CPU us | refused |")
    notes.add("|---|--:|--:|--:|--:|--:|--:|")
    for name in names:
        with Server(name, url, threads=_threads(name)) as server:
            cookie = {"Cookie": server.log_in()}
            press(server, "/", 16, 1, cookie)
            for connections in CONNECTIONS:
                found = press(server, "/", connections, SECONDS, cookie)
                notes.add(
                    f"| {name} | {connections} | {found.rps:.0f} | {found.p50_ms:.1f} "
                    f"| {found.p99_ms:.1f} | {found.cpu_us:.0f} | {found.errors} |"
                )


def memory(url: str, notes: Any) -> None:
    """KiB of the server per idle connection, and per connection that waits for its response."""
    notes.begin("Memory of a connection", f"{HELD} of them are held open.", "")
    notes.add("| connections | KiB each |", "|---|--:|")
    for name, sent in (
        ("idle", b""),
        ("waiting", b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ):
        with Server("quartapp-hypercorn", url, settings={"REQUEST_LIMIT": "0"}) as server:
            for _ in range(50):
                server.get("/ping")
            before = server.memory_bytes()
            with ExitStack() as stack:
                for _ in range(HELD):
                    address = ("127.0.0.1", server.port)
                    held = stack.enter_context(socket.create_connection(address))
                    held.sendall(sent)
                time.sleep(2)
                grown = server.memory_bytes() - before
        notes.add(f"| {name} | {grown / HELD / 1024:.1f} |")
