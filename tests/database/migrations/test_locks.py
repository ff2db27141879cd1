"""Migrations beside others: two processes that migrate, and transactions that use a table."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import text

from quartapp.database import DatabaseEngine
from quartapp.database.drivers import sqlite
from quartapp.database.migrations import MigrationError, locks, upgrade
from quartapp.testing import ForkServer
from tests.database.migrations.test_commands import make_app

ROOT = Path(__file__).parents[3]

CREATE = "op.create_table('customer', sa.Column('id', sa.Integer), sa.Column('name', sa.Text))"
ALTER = "op.add_column('customer', sa.Column('city', sa.Text))"
INDEX = (
    "with outside_transaction():\n        op.create_index("
    "'ix_customer_name', 'customer', ['name'], postgresql_concurrently=True)"
)


async def revision_of(url: str) -> list[Any]:
    database = DatabaseEngine(url)
    rows = await database.read(text("SELECT version_num FROM alembic_version"))
    await database.dispose()
    return [tuple(row) for row in rows]


async def hold(database: DatabaseEngine, held: asyncio.Event, seconds: float) -> None:
    """Use the table in a transaction that goes on, or on SQLite lock the file."""
    async with database.begin() as session:
        await session.execute(text("INSERT INTO customer (id) VALUES (1)"))
        held.set()
        await asyncio.sleep(seconds)


@pytest.mark.slow
@pytest.mark.parametrize(("held_for", "succeeds"), [(0.4, True), (30.0, False)])
async def test_a_long_transaction_delays_a_migration_and_no_request(
    each_database_url: str,
    tmp_path: Path,
    write: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    held_for: float,
    succeeds: bool,
) -> None:
    write(CREATE)
    await upgrade(make_app(each_database_url, tmp_path))
    write(CREATE, ALTER, lock_timeout=0.1, wait=0.8)
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.1)
    monkeypatch.setattr(locks, "_PAUSE", 0.05)
    others = DatabaseEngine(each_database_url)
    held = asyncio.Event()
    holding = asyncio.create_task(hold(others, held, held_for))
    await held.wait()
    migrating = asyncio.create_task(upgrade(make_app(each_database_url, tmp_path)))
    waits = []
    while not migrating.done():
        began = monotonic()
        await others.read(text("SELECT count(*) FROM customer"))
        waits.append(monotonic() - began)
        await asyncio.sleep(0.02)
    if succeeds:
        await migrating
    else:
        with pytest.raises(MigrationError, match=r"was not applied|nothing was changed"):
            await migrating
    holding.cancel()
    with suppress(asyncio.CancelledError):
        await holding
    assert await revision_of(each_database_url) == [("b" if succeeds else "a",)]
    assert "trying again" in caplog.text
    assert max(waits) < 5.0, "it waited for the transaction"
    await others.dispose()


@pytest.mark.slow
def test_processes_that_migrate_at_a_time_wait_for_each_other(
    each_database_url: str, tmp_path: Path, write: Callable[..., None], fork_server: ForkServer
) -> None:
    write(CREATE, f"time.sleep(0.4); {ALTER}", INDEX)
    program = (
        f"import asyncio, sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path;"
        "from quartapp.database.migrations import upgrade;"
        "from tests.database.migrations.test_commands import make_app;"
        f"asyncio.run(upgrade(make_app({each_database_url!r}, Path({str(tmp_path)!r}))))"
    )
    processes = [fork_server.start(["-c", program], os.environ, tmp_path) for _ in range(2)]
    ends = []
    for process in processes:
        with process.stdout:
            ends.append((process.wait(60), process.stdout.read()))
    assert [code for code, _ in ends] == [0, 0], ends
    assert asyncio.run(revision_of(each_database_url)) == [("c",)]
