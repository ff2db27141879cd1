"""Counting stops under a running server, whose database still answers."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from quartapp.microblog.testing import StartServer
from tests.system.faults.full_disk import fill
from tests.system.live.test_lost_journal import SERVE, Site, mount, replace_by_a_copy, unmount

STOPPED = "Errors cannot be counted, the journal keeps them"


@pytest.fixture
def site(live_server: StartServer, database_url: str, tmp_path: Path) -> Iterator[Site]:
    with live_server(SERVE, WORKERS="1") as server:
        made = Site(server, database_url, tmp_path)
        yield made
    if made.journal.is_mount():
        unmount(made.journal)


async def until_ready(site: Site, status: int) -> dict[str, str]:
    """Ask until `/ready` has this status."""
    async with httpx.AsyncClient(timeout=60) as client, asyncio.timeout(60):
        while True:
            answer = await client.get(f"{site.server.url}/ready")
            if answer.status_code == status:
                found: dict[str, str] = answer.json()
                return found
            await asyncio.sleep(0.1)


def execute(site: Site, *statements: str) -> None:
    with closing(sqlite3.connect(site.database)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def stops(site: Site, happen: Callable[[], None], line: str, say: str = "") -> None:
    """Of what happens the server says so once, and is not ready; nothing is lost."""
    await until_ready(site, 200)
    await asyncio.to_thread(happen)
    await site.fail(3)
    found = await until_ready(site, 503)
    assert found == {"status": "unavailable", "database": "ok", "errors": "not counted"}
    await asyncio.sleep(2.5)
    assert site.server.output.count(line) == 1
    doctor = await asyncio.to_thread(site.command, "doctor")
    assert doctor.returncode == 1
    assert say in doctor.stdout
    site.server.lines.clear()


@pytest.mark.slow
async def test_a_server_that_cannot_count_is_not_ready_and_says_so_once(site: Site) -> None:
    path = Path(site.database)
    await site.fail(1)

    def drop() -> None:
        execute(site, "alter table error_minutes rename to minutes")

    await stops(site, drop, STOPPED, "run 'quartapp db upgrade' first")
    await asyncio.to_thread(execute, site, "alter table minutes rename to error_minutes")
    await asyncio.to_thread(site.wait_until_counted)
    # An older version of the tables, and one for which this version is too old.
    for revision in ("0003", "9999_incompatible"):
        await asyncio.to_thread(
            execute, site, f"update alembic_version set version_num='{revision}'"
        )
        assert (await until_ready(site, 503))["database"] == "not migrated"
        site.server.wait_for(f"is at revision {revision}")
        await until_ready(site, 503)
        assert site.server.output.count(f"is at revision {revision}") == 1
    await asyncio.to_thread(execute, site, "update alembic_version set version_num = '9999'")

    def corrupt() -> None:
        with closing(sqlite3.connect(path)) as connection:
            query = "select rootpage from sqlite_master where name = 'error_groups'"
            root = connection.execute(query).fetchone()[0]
            size = connection.execute("pragma page_size").fetchone()[0]
            connection.execute("pragma wal_checkpoint(truncate)")
        with path.open("r+b") as file:
            file.seek((root - 1) * size)
            file.write(b"\xff" * size)
        execute(site, "update alembic_version set version_num = version_num")

    await stops(site, corrupt, STOPPED, "corrupt")


@pytest.mark.slow
async def test_a_server_whose_database_was_replaced_is_not_ready_and_keeps_errors(
    site: Site, live_server: StartServer
) -> None:
    path = Path(site.database)
    await stops(site, lambda: replace_by_a_copy(path), STOPPED, "was removed or replaced")
    await asyncio.to_thread(site.server.stop)
    assert site.counted == 0
    with live_server(SERVE, WORKERS="1") as site.server:
        await asyncio.to_thread(site.wait_until_counted)


@pytest.mark.slow
async def test_a_server_whose_journal_has_no_room_is_not_ready(site: Site) -> None:
    await site.fail(1)
    mount(site.journal)
    await site.fail(1)
    await asyncio.to_thread(site.wait_until_counted)
    await asyncio.sleep(1.5)  # what is counted is deleted, which makes room
    ballast = fill(site.journal / "ballast")
    await until_ready(site, 503)
    site.server.wait_for("Errors cannot be recorded in full")
    ballast.unlink()
    await until_ready(site, 200)
    assert site.server.output.count("Errors cannot be recorded in full") == 1
    await asyncio.to_thread(site.wait_until_counted)
