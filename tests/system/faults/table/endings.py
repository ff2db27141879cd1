"""Endings: of the server, of a worker, and of views that raise what is no Exception."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.system.faults.table.row import Fault
from tests.system.faults.table.served import ENDINGS
from tests.system.faults.table.site import Site


@asynccontextmanager
async def restarted(site: Site) -> AsyncIterator[None]:
    """SIGTERM with requests that would last longer than the grace, then a new server."""
    waiting = asyncio.create_task(site.many("/wait?seconds=60", 20))
    await asyncio.sleep(1.0)
    await site.stop()
    await waiting
    await site.start()
    yield


@asynccontextmanager
async def killed(site: Site) -> AsyncIterator[None]:
    await site.kill()
    await site.start()
    yield


@asynccontextmanager
async def worker_killed(site: Site) -> AsyncIterator[None]:
    site.kill_worker()
    await asyncio.sleep(0.1)
    await site.until_served()
    yield


@asynccontextmanager
async def ended_views(site: Site) -> AsyncIterator[None]:
    for kind in ENDINGS:
        await site.many(f"/end?kind={kind}", 5)
    yield


@asynccontextmanager
async def failing_teardowns(site: Site) -> AsyncIterator[None]:
    await site.many("/teardown", 10)
    yield


FAULTS = (
    Fault(
        "the server is stopped",
        "SIGTERM under load, 20 requests outlast the grace",
        restarted,
        1.0,
        stops=True,
        expects=("503",),
        settings={"REQUEST_TIMEOUT": "30"},
        without={"WITHOUT": "recording"},
    ),
    Fault(
        "the server is killed",
        "SIGKILL of master and workers under load",
        killed,
        1.0,
        stops=True,
        kills=True,
        without={"WITHOUT": "recording"},
    ),
    Fault(
        "a worker is killed",
        "SIGKILL of one under load",
        worker_killed,
        1.0,
        stops=True,
        kills=True,
        without={"WITHOUT": "recording"},
    ),
    Fault(
        "a view exits",
        "sys.exit(), KeyboardInterrupt, GeneratorExit, a group, 5 each",
        ended_views,
        1.0,
        expects=("500",),
        without={"WITHOUT": "recording"},
    ),
    Fault(
        "a teardown fails",
        "10 exceptions in teardown_request",
        failing_teardowns,
        1.0,
        expects=("500",),
        without={"WITHOUT": "recording"},
    ),
)
