"""Which failures are kept, and for how long."""

import asyncio
import gc
import weakref
from pathlib import Path

import pytest
from sqlalchemy import text

from quartapp.database import Database
from tests.debugger.site import HTML, Site


class Witness:
    """Something that a view's variable holds."""


@pytest.fixture
def witnesses(site: Site) -> "list[weakref.ref[Witness]]":
    seen: list[weakref.ref[Witness]] = []

    @site.app.get("/witnessed")
    async def witnessed() -> str:
        witness = Witness()
        seen.append(weakref.ref(witness))
        raise RuntimeError(type(witness))

    return seen


@pytest.mark.slow
async def test_the_newest_failure_replaces_the_one_before(
    site: Site, witnesses: "list[weakref.ref[Witness]]"
) -> None:
    for _ in range(5):
        await site.request("GET", "/witnessed", headers=HTML)
    gc.collect()

    assert [witness() is not None for witness in witnesses] == [False] * 4 + [True]


@pytest.mark.slow
async def test_the_failure_that_is_worked_with_stays(
    site: Site, witnesses: "list[weakref.ref[Witness]]"
) -> None:
    await site.request("GET", "/witnessed", headers=HTML)
    await site.unlock()
    used, frame = site.failure_id, site.frame_of("witnessed")
    await site.run("kept = witness", "witnessed")
    for _ in range(5):
        await site.request("GET", "/witnessed", headers=HTML)

    answer = await site.command(
        f"/failures/{used}/run", {"frame": frame, "code": "kept is witness"}
    )
    gc.collect()

    assert answer.json["value"] == "True"
    assert [witness() is not None for witness in witnesses] == [True, *[False] * 4, True]


@pytest.mark.slow
async def test_working_with_another_one_lets_it_go(
    site: Site, witnesses: "list[weakref.ref[Witness]]"
) -> None:
    await site.unlock()
    for _ in range(3):
        await site.request("GET", "/witnessed", headers=HTML)
        await site.run("mine = witness", "witnessed")
    site.released.clear()
    gc.collect()

    assert [witness() is not None for witness in witnesses] == [False, False, True]


@pytest.mark.slow
async def test_hundreds_of_failures_leave_no_memory(site: Site) -> None:
    site.app.logger.disabled = True  # pytest keeps every record, with its exception

    async def fail(times: int) -> int:
        for _ in range(times):
            await site.request("GET", "/fail", headers=HTML)
        site.said.clear()
        await asyncio.sleep(0)  # the loop drops cancelled timers and callbacks
        gc.collect()
        return len(gc.get_objects())

    before = await fail(20)

    assert await fail(300) - before < 150


@pytest.mark.slow
async def test_kept_failures_hold_no_connections(site: Site, tmp_path: Path) -> None:
    site.app.config["DATABASE_URL"] = f"sqlite:///{tmp_path}/small.db"
    db = Database(site.app, engine_options={"pool_size": 2, "pool_timeout": 1})

    @site.app.get("/query")
    async def query() -> str:
        session = db.session
        await session.execute(text("SELECT 1"))
        raise RuntimeError(session)

    for _ in range(20):
        answer = await site.request("GET", "/query", headers=HTML)
        assert "<h1>RuntimeError</h1>" in answer.text
    database = site.app.extensions["database"]
    assert database.engine.pool.status().count("Current Checked out connections: 0") == 1
    await database.dispose()
