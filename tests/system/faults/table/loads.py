"""Many requests that are slow, while others want to be served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.system.faults.table.row import Fault
from tests.system.faults.table.site import Site


@asynccontextmanager
async def _meanwhile(site: Site, path: str, times: int) -> AsyncIterator[None]:
    requests = asyncio.create_task(site.many(path, times))
    yield
    await requests


@asynccontextmanager
async def waiting_clients(site: Site) -> AsyncIterator[None]:
    async with _meanwhile(site, "/wait?seconds=4", 400):
        yield


@asynccontextmanager
async def slow_queries(site: Site) -> AsyncIterator[None]:
    # SQLite computes for its second, so that many would measure the machine.
    async with _meanwhile(site, "/query", 24 if site.is_sqlite else 200):
        yield


@asynccontextmanager
async def stalled_bodies(site: Site) -> AsyncIterator[None]:
    """Clients that send one byte of a body after the other."""

    async def trickle() -> None:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(site.server.host, site.server.port)
            site.ledger.sent += 1
            site.ledger.answers["left"] += 1
            site.ledger.perhaps += 1
            start = "POST /api/posts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            writer.write(f"{start}{site.head}\r\n".encode())
            for _ in range(8):
                if writer.is_closing():
                    break
                writer.write(b"x")
                await asyncio.sleep(0.5)
            writer.close()

    clients = [asyncio.create_task(trickle()) for _ in range(300)]
    yield
    await asyncio.gather(*clients)


FAULTS = (
    Fault(
        "clients that wait",
        "400 requests that sleep 4 s",
        waiting_clients,
        4.0,
        posts=True,
        without={"REQUEST_LIMIT": "100"},
    ),
    Fault(
        "slow queries",
        "200 requests that query for 1 s (SQLite: 24)",
        slow_queries,
        4.0,
        posts=True,
        without={"WITHOUT": "recording"},
    ),
    Fault(
        "stalled bodies",
        "300 clients that send 2 bytes a second",
        stalled_bodies,
        4.0,
        posts=True,
        without={"WITHOUT": "bodies"},
    ),
)
