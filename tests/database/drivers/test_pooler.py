"""Behind PgBouncer in transaction mode: after each transaction the connection is another one."""

import asyncio
import logging
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from quart import Quart
from quart.cli import ScriptInfo
from sqlalchemy import (
    JSON,
    Column,
    Integer,
    MetaData,
    Table,
    bindparam,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine import URL, make_url

from quartapp.database import Database, DatabaseEngine
from quartapp.database.backups.commands import backup
from quartapp.database.errors import StatementTimeoutError
from tests.conftest import PGBOUNCER, POSTGRESQL, execute

pytestmark = [pytest.mark.postgresql, pytest.mark.pgbouncer]

CONFIGURATION = """
[databases]
* = host={host} port={port} user={user} {password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
server_check_delay = 0
"""
# Without a check it would use connections that the end of the test before has ended.

notes = Table("notes", MetaData(), Column("id", Integer, primary_key=True), Column("data", JSON))
ONE = select(notes.c.data).where(notes.c.id == bindparam("wanted"))
LATER = select(notes.c.id, notes.c.data).where(notes.c.id > bindparam("wanted")).limit(2)
SET = update(notes).where(notes.c.id == bindparam("wanted")).values(data=bindparam("new"))

END_OTHERS = """SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.fixture(scope="module")
def pooler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of PgBouncer, which has three connections to the server of the tests."""
    server = make_url(POSTGRESQL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    file: Path = tmp_path_factory.mktemp("pgbouncer") / "pgbouncer.ini"
    password = f"password={server.password}" if server.password else ""
    address = {"host": server.host, "port": server.port or 5432, "user": server.username}
    file.write_text(CONFIGURATION.format(**address, password=password, own=port), "utf-8")
    user = ["--user=nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
    process = subprocess.Popen([PGBOUNCER, "--quiet", *user, str(file)])
    with process:
        for _ in range(500):
            with socket.socket() as trying:
                if not trying.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.01)
        yield port
        process.terminate()


@pytest.fixture
def url(pooler: int, postgresql_url: str) -> URL:
    return make_url(postgresql_url).set(host="127.0.0.1", port=pooler)


@pytest.fixture
async def database(url: URL) -> AsyncIterator[DatabaseEngine]:
    made = DatabaseEngine(url.update_query_dict({"pooler": "true"}), statement_timeout=9)
    async with made.begin() as session:
        await (await session.connection()).run_sync(notes.metadata.create_all)
        await session.execute(insert(notes), [{"id": n, "data": {"n": n}} for n in range(9)])
    yield made
    await made.dispose()


async def test_everything_works_from_many_tasks(database: DatabaseEngine) -> None:
    async def once(number: int) -> None:
        assert await database.read(ONE, wanted=3) == [({"n": 3},)]
        rows = await database.read(LATER, wanted=number % 3)
        assert rows == [(number % 3 + n, {"n": number % 3 + n}) for n in (1, 2)]
        assert await database.write(SET, wanted=8, new={"n": number}) == 1
        async with database.session() as session:
            assert await session.scalar(ONE, {"wanted": 4}) == {"n": 4}
            assert await session.scalar(text(f"SELECT :a || '{number % 7}'"), {"a": "x"})
            streamed = await session.stream(LATER, {"wanted": 1})
            assert [row.id async for row in streamed] == [2, 3]
        async with database.snapshot() as session:
            assert len(await session.read(LATER, wanted=1)) == 2
        assert await database.write_all(*[(SET, {"wanted": n, "new": {}}) for n in (0, 8)]) == [
            1,
            1,
        ]

    await asyncio.gather(*(once(number) for number in range(60)))
    assert await database.read(ONE, wanted=8) == [({},)], "the last write of each task"


async def test_no_statement_is_kept_in_the_server(database: DatabaseEngine) -> None:
    kept = text("SELECT name FROM pg_prepared_statements")
    for _ in range(5):
        async with database.session() as session:
            assert (await session.scalars(kept)).all() == []
        assert await database.read(ONE, wanted=1)


async def test_values_are_right_after_another_process_has_migrated(
    database: DatabaseEngine, url: URL
) -> None:
    query = select(notes.c.id).order_by(notes.c.id).limit(2)
    for kind in ("integer", "bigint", "integer"):
        await execute(f"ALTER TABLE notes ALTER COLUMN id TYPE {kind}", database=url.database)
        async with database.session() as session:
            assert (await session.scalars(query)).all() == [0, 1]
        for _ in range(3):
            assert await database.read(query) == [(0,), (1,)]


async def test_a_late_statement_ends_by_the_limit_of_the_server(
    database: DatabaseEngine, url: URL, caplog: pytest.LogCaptureFixture
) -> None:
    assert await database.warm_up()
    assert "SET statement_timeout = '9s'" in caplog.text
    assert len(caplog.records) == 1
    limit = f'ALTER DATABASE "{url.database}" {{}} statement_timeout'
    await execute(f"{limit.format('SET')} = '200ms'", END_OTHERS, database=url.database)
    try:
        async with database.session() as session:
            with pytest.raises(StatementTimeoutError):
                await session.execute(text("SELECT pg_sleep(20)"))
            await session.rollback()
            assert await session.scalar(ONE, {"wanted": 1}) == {"n": 1}
    finally:
        await execute(limit.format("RESET"), database=url.database)


async def test_the_start_says_what_to_set(url: URL, caplog: pytest.LogCaptureFixture) -> None:
    refused = DatabaseEngine(url, statement_timeout=9)
    assert not await refused.warm_up()
    connected = DatabaseEngine(url)
    assert await connected.warm_up()
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert all("set DATABASE_POOLER=true" in record.message for record in caplog.records)
    assert "set DATABASE_POOLER=true" in await connected.advice_on_pooler()
    await refused.dispose()
    await connected.dispose()


async def test_nothing_is_said_without_a_pooler(
    postgresql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = DatabaseEngine(postgresql_url, statement_timeout=9)
    assert await database.warm_up()
    assert caplog.records == []
    await database.dispose()


def test_a_backup_is_not_made_through_it(url: URL, tmp_path: Path) -> None:
    app = Quart("shop", root_path=str(tmp_path))
    app.config["DATABASE_URL"] = url.render_as_string(hide_password=False)
    app.config["DATABASE_POOLER"] = "true"
    Database(app)
    made = CliRunner().invoke(backup, [], obj=ScriptInfo(create_app=lambda *_: app))
    assert made.exit_code == 1
    assert "call this with DATABASE_POOLER=false and the server's own address" in made.stderr
