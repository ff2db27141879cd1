"""What goes around SQLAlchemy keeps its limits, its errors and its order, and leaves nothing."""

import asyncio
import itertools
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as DatabaseTimeoutError

from quartapp.database import DatabaseEngine, direct, turns
from quartapp.database.drivers import driver, limited, write_lock
from quartapp.database.errors import (
    DatabaseLockedError,
    DatabaseQueueFullError,
    StatementTimeoutError,
)
from quartapp.database.prepared import Declined, Preparer
from quartapp.database.source import Step
from tests.database.drivers.test_postgresql import silent_proxy

TABLES = sa.MetaData()
THINGS = sa.Table(
    "things",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(20), unique=True),
    sa.Column("size", sa.Integer, default=1),
    sa.Column("parent_id", sa.ForeignKey("things.id", deferrable=True, initially="DEFERRED")),
)
C = THINGS.c
INSERT = sa.insert(THINGS)
RESIZE = sa.update(THINGS).where(C.name == sa.bindparam("which"))
NAMES = sa.select(C.name).order_by(C.id)
_SIZE = sa.select(C.size).where(C.name == sa.bindparam("which"))


def slow(database: DatabaseEngine) -> sa.Select[Any]:
    """A statement that takes a minute with `much=60`, and no time with `much=0`."""
    much = sa.bindparam("much", type_=sa.Integer)
    if not database.is_sqlite:
        return sa.select(sa.func.length(sa.cast(sa.func.pg_sleep(much), sa.String)))
    numbers = sa.select(sa.literal(1).label("i")).cte("n", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.i + 1).where(numbers.c.i < much * 10_000_000))
    return sa.select(sa.func.count()).select_from(numbers)


@pytest.fixture
async def database(each_database_url: str) -> AsyncIterator[DatabaseEngine]:
    opened = DatabaseEngine(each_database_url, pool_size=4)
    async with opened.engine.begin() as connection:
        await connection.run_sync(TABLES.create_all)
        await connection.execute(INSERT, [{"name": "a"}, {"name": "b"}])
    yield opened
    await opened.dispose()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[DatabaseEngine]:
    opened = DatabaseEngine(f"sqlite:///{tmp_path}/test.db", pool_size=4)
    async with opened.engine.begin() as connection:
        await connection.run_sync(TABLES.create_all)
        await connection.execute(INSERT, [{"name": "a"}, {"name": "b"}])
    yield opened
    await opened.dispose()


async def twice(execute: Callable[..., Awaitable[Any]], statement: Any, **values: Any) -> Any:
    """Execute a statement until it is prepared."""
    for _ in range(2):
        result = await execute(statement, **values)
    return result


def without_sqlalchemy(database: DatabaseEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a statement that SQLAlchemy executes fails."""

    def fail(*_: object) -> None:
        raise AssertionError("SQLAlchemy was asked")

    monkeypatch.setattr(type(database.engine), "connect", fail)
    monkeypatch.setattr(type(database.engine), "begin", fail)


def checked_out(database: DatabaseEngine) -> int:
    return int(cast(Any, database.engine.sync_engine.pool).checkedout())


async def test_a_statement_that_is_seen_again_needs_no_sqlalchemy(
    database: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await twice(database.read, _SIZE, which="a")
    await twice(database.write, RESIZE, which="a", size=2)
    without_sqlalchemy(database, monkeypatch)
    assert await database.read(_SIZE, which="a") == [(2,)]
    assert await database.write(RESIZE, which="a", size=3) == 1
    steps = [(RESIZE, {"which": which, "size": 4}) for which in "abc"]
    assert await database.write_all(*steps) == [1, 1, 0]
    assert await database.read(_SIZE, which="b") == [(4,)]
    assert checked_out(database) == 0


async def test_a_statement_may_be_under_way_when_it_begins_to_be_observed(
    database: DatabaseEngine,
) -> None:
    begun = asyncio.Event()

    @event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def begin(*_given: object) -> None:
        begun.set()

    async def execute(number: int) -> Any:
        async with database.session() as session:
            return await session.scalar(text(f"SELECT {number}"))

    seen: list[str] = []
    first = asyncio.create_task(execute(1))
    await begun.wait()
    database.observe(lambda sql, _seconds, _rows: seen.append(sql))
    assert (await first, await execute(2)) == (1, 2)
    assert seen == ["SELECT 2"]


async def test_statements_can_be_observed_without_their_values(database: DatabaseEngine) -> None:
    seen: list[tuple[str, float, int]] = []
    for _ in range(2):
        database.observe(lambda *statement: seen.append(statement))
    for _ in range(3):
        seen.clear()
        await database.read(NAMES)
        await database.write_all(
            (RESIZE, {"which": "canary", "size": 2}), (RESIZE, {"which": "a", "size": 2})
        )
        async with database.session() as session:
            await session.execute(RESIZE, {"which": "a", "size": 3})
        assert [sql.split()[0] for sql, _, _ in seen[::2]] == ["SELECT", *["UPDATE"] * 3]
        assert [rows for _, _, rows in seen[2::2]] == [0, 1, 1]
        assert all(0 <= seconds < 60 and "canary" not in sql for sql, seconds, _ in seen)
    assert seen[0][2] == 2


def unprepared() -> dict[str, tuple[sa.Executable, dict[str, Any]]]:
    added = INSERT.values(name="x", size=1).returning(C.id).cte()
    names: Any = sa.bindparam("names", expanding=True)
    return {
        "text": (sa.text("SELECT 1"), {}),
        "a list": (sa.select(C.id).where(C.name.in_(["a"])), {}),
        "an expanding parameter": (sa.select(C.id).where(C.name.in_(names)), {"names": ["a"]}),
        "a computed default": (INSERT, {"name": "x"}),
        "a callable parameter": (
            sa.select(C.id).where(C.name == sa.bindparam(None, callable_=lambda: "a")),
            {},
        ),
        "options": (NAMES.execution_options(stream_results=True), {}),
        "a SELECT that inserts": (sa.select(added.c.id), {}),
    }


@pytest.mark.parametrize("name", unprepared())
def test_is_not_prepared(name: str) -> None:
    database = DatabaseEngine("postgresql://nobody@localhost/nothing")  # it is never connected
    statement, values = unprepared()[name]
    preparer = Preparer(database.engine.dialect)
    for _ in range(3):
        with pytest.raises(Declined):
            preparer.find(statement, values)


def test_a_statement_that_is_gone_is_not_kept() -> None:
    preparer = Preparer(DatabaseEngine("sqlite://").engine.dialect)
    for number in range(10):
        with pytest.raises(Declined):
            preparer.find(sa.select(sa.literal(number)), {})
    assert len(preparer._kept) <= 1


async def test_rows_stay_right_when_the_table_changes(database: DatabaseEngine) -> None:
    everything = sa.select(THINGS).where(C.name == "a")
    await twice(database.read, everything)
    async with database.engine.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE things ADD COLUMN more INTEGER DEFAULT 5"))
        if not database.is_sqlite:
            await connection.execute(sa.text("ALTER TABLE things ALTER COLUMN name TYPE TEXT"))
    assert await database.read(everything) == [(1, "a", 1, None)]


@pytest.mark.slow
async def test_a_slow_read_can_be_cancelled_and_leaves_nothing(database: DatabaseEngine) -> None:
    statement = slow(database)
    await twice(database.read, statement, much=0)
    task = asyncio.create_task(database.read(statement, much=60))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 20
    assert checked_out(database) == 0
    if not database.is_sqlite:
        running = "query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()"
        count = sa.text(f"SELECT count(*) FROM pg_stat_activity WHERE {running}")
        assert await database.read(count) == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
async def test_a_slow_read_is_stopped_by_the_limit(each_database_url: str, times: int) -> None:
    database = DatabaseEngine(each_database_url, pool_size=1, statement_timeout=0.2)
    statement = slow(database)
    await twice(database.read, statement, much=0)
    for _ in range(times):
        with pytest.raises(StatementTimeoutError):
            await database.read(statement, much=60)
    assert len(await database.read(statement, much=0)) == 1
    await database.dispose()


def slow_write(database: DatabaseEngine) -> sa.Update:
    return sa.update(THINGS).values(size=slow(database).scalar_subquery())


@pytest.mark.slow
async def test_a_slow_write_is_stopped_by_the_limit_and_changes_nothing(
    each_database_url: str, database: DatabaseEngine
) -> None:
    limited = DatabaseEngine(each_database_url, pool_size=1, statement_timeout=0.2)
    statement = slow_write(database)
    await twice(limited.write, statement, much=0)
    started = time.monotonic()
    with pytest.raises(StatementTimeoutError):
        await limited.write_all((RESIZE, {"which": "a", "size": 7}), (statement, {"much": 60}))
    with pytest.raises(StatementTimeoutError):
        await limited.write(statement, much=60)
    assert time.monotonic() - started < 20
    assert await limited.read(_SIZE, which="a") != [(7,)]
    assert await limited.write(RESIZE, which="a", size=8) == 1
    await limited.dispose()


@pytest.mark.slow
async def test_a_slow_write_can_be_cancelled_and_changes_nothing(database: DatabaseEngine) -> None:
    statement = slow_write(database)
    await twice(database.write, statement, much=0)
    await twice(database.write, RESIZE, which="a", size=1)
    steps: list[Step] = [(RESIZE, {"which": "a", "size": 7}), (statement, {"much": 60})]
    task = asyncio.create_task(database.write_all(*steps))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.write(RESIZE, which="b", size=9) == 1
    assert time.monotonic() - started < 20
    assert await database.read(_SIZE, which="a") == [(1,)]
    assert checked_out(database) == 0


async def test_a_commit_that_is_refused_has_changed_nothing(
    database: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = INSERT.values(size=1)
    for _ in range(3):
        with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
            await database.write(orphan, name="c", parent_id=9)
    assert await database.read(NAMES) == [("a",), ("b",)]
    assert await database.write(orphan, name="c", parent_id=1) == 1


async def test_a_database_that_cannot_be_opened_is_an_error_of_sqlalchemy(
    each_database_url: str, tmp_path: Path
) -> None:
    before = set(threading.enumerate())
    url = sa.make_url(each_database_url)
    missing = f"{tmp_path}" if url.get_backend_name() == "sqlite" else "nothing"
    database = DatabaseEngine(url.set(database=missing).render_as_string(hide_password=False))
    async with database.session() as session:
        with pytest.raises(DBAPIError) as expected:
            await session.execute(NAMES)
    for _ in range(3):
        with pytest.raises(type(expected.value)):
            await database.read(NAMES)
        with pytest.raises(type(expected.value)):
            await database.write(RESIZE, which="a", size=1)
    await database.dispose()
    async with asyncio.timeout(60):  # the threads of aiosqlite need the loop to end
        while set(threading.enumerate()) - before:  # noqa: ASYNC110 a thread has no event
            await asyncio.sleep(0.01)


# SQLite in the thread of the event loop


async def test_a_late_read_is_stopped_and_declined_for_a_while(sqlite: DatabaseEngine) -> None:
    """It would go on for a minute, in which the event loop does nothing else."""
    statement = slow(sqlite)
    await twice(sqlite.read, statement, much=0)
    prepared = sqlite._preparer.find(statement, {})
    reader = sqlite._reader
    await reader.read(prepared, prepared.parameters({"much": 0}))
    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(Declined):
            await reader.read(prepared, prepared.parameters({"much": 60}))
    assert time.monotonic() - started < 20
    assert prepared.late_until > time.monotonic()
    with closing(sqlite3.connect(str(sqlite.url.database))) as other:
        other.execute("DELETE FROM things")
        other.commit()
        # Busy if what was stopped still reads.
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


async def test_a_read_that_was_late_once_is_executed_by_sqlalchemy(sqlite: DatabaseEngine) -> None:
    await twice(sqlite.read, NAMES)
    sqlite._preparer.find(NAMES, {}).late_until = time.monotonic() + 60
    assert await sqlite.read(NAMES) == [("a",), ("b",)]


async def test_a_late_read_waits_for_no_turn(sqlite: DatabaseEngine) -> None:
    await twice(sqlite.read, NAMES)
    prepared = sqlite._preparer.find(NAMES, {})
    await sqlite._reader.read(prepared, [])
    time.sleep(2 * turns.SLICE)  # noqa: ASYNC251 the pass has no time left for readers
    prepared.late_until = time.monotonic() + 60
    with pytest.raises(Declined):
        sqlite._reader.read(prepared, []).send(None)


async def test_a_wait_for_the_processor_is_not_late(
    sqlite: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await twice(sqlite.read, NAMES)
    prepared = sqlite._preparer.find(NAMES, {})
    clock = itertools.count(1.0, 0.01)  # a statement takes 10 ms, and almost none of it computes
    monkeypatch.setattr(direct, "monotonic", lambda: next(clock))
    assert len(await sqlite._reader.read(prepared, [])) == 2
    monkeypatch.setattr(direct, "PATIENCE", 0.005)  # it may wait so long that it is stopped
    await sqlite._reader.read(prepared, [])
    assert prepared.late_until == 0
    blocks = itertools.count()
    monkeypatch.setattr(direct, "blocks_read", lambda: next(blocks))
    await sqlite._reader.read(prepared, [])
    assert prepared.late_until > 0  # it waited for the disk


async def test_the_reader_opens_no_file_that_is_not_there(tmp_path: Path) -> None:
    database = DatabaseEngine(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(Declined):
        cast(direct.LoopReader, database._reader).open()
    assert not (tmp_path / "none.db").exists()


async def test_the_reader_cannot_write(sqlite: DatabaseEngine) -> None:
    connection = cast(direct.LoopReader, sqlite._reader).open()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM things")


async def test_reads_do_not_wait_for_writers(sqlite: DatabaseEngine) -> None:
    await twice(sqlite.read, NAMES)
    prepared = sqlite._preparer.find(NAMES, {})
    async with sqlite.session() as session:
        await session.execute(sa.delete(THINGS))
        assert len(await sqlite._reader.read(prepared, [])) == 2


async def test_reads_wait_for_locks_in_a_thread() -> None:
    """A database in memory has no log, so that a writer excludes readers."""
    database = DatabaseEngine("sqlite://")
    async with database.engine.begin() as connection:
        await connection.run_sync(TABLES.create_all)
    await twice(database.read, NAMES)
    async with database.session() as session:
        await session.execute(INSERT, {"name": "a"})
        reader = cast(direct.LoopReader, database._reader)
        with pytest.raises(Declined):
            await reader.read(database._preparer.find(NAMES, {}), [])
        reader.close()
        assert reader.open().execute("PRAGMA busy_timeout").fetchone() == (0,), "it would wait"
        reading = asyncio.create_task(database.read(NAMES))
        await asyncio.sleep(0.02)
        await session.commit()
    assert await reading == [("a",)]
    await database.dispose()


async def test_the_reader_is_closed_with_the_database(sqlite: DatabaseEngine) -> None:
    connection = cast(direct.LoopReader, sqlite._reader).open()
    await sqlite.dispose()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
    assert await twice(sqlite.read, NAMES) == [("a",), ("b",)]


# SQLite, writing


async def test_writes_take_turns_with_sessions_in_the_order_of_their_coming(
    sqlite: DatabaseEngine,
) -> None:
    await twice(sqlite.write, RESIZE, which="a", size=1)
    done: list[int] = []

    async def write(number: int) -> None:
        if number % 2:
            async with sqlite.begin() as session:
                await session.execute(RESIZE, {"which": "a", "size": number})
                done.append(number)  # it still has its turn
        else:
            await sqlite.write(RESIZE, which="a", size=number)
            done.append(number)

    async with sqlite.begin() as first:
        await first.execute(RESIZE, {"which": "a", "size": 0})
        tasks = []
        for number in range(4):
            tasks.append(asyncio.create_task(write(number)))
            await asyncio.sleep(0.02)
        assert not done
    await asyncio.gather(*tasks)
    assert done == [0, 1, 2, 3]


async def test_a_write_waits_for_its_turn_no_longer_than_a_session(
    sqlite: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await twice(sqlite.write, RESIZE, which="a", size=1)
    monkeypatch.setattr(write_lock, "PATIENCE", 0.05)
    async with sqlite.begin() as first:
        await first.execute(RESIZE, {"which": "a", "size": 2})
        with pytest.raises(DatabaseLockedError, match="database is locked"):
            await sqlite.write(RESIZE, which="a", size=3)
    assert await sqlite.write(RESIZE, which="a", size=4) == 1


async def test_a_cancelled_wait_for_a_turn_leaves_the_queue(sqlite: DatabaseEngine) -> None:
    await twice(sqlite.write, RESIZE, which="a", size=1)
    async with sqlite.begin() as first:
        await first.execute(RESIZE, {"which": "a", "size": 2})
        waiting = asyncio.create_task(sqlite.write(RESIZE, which="a", size=3))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await sqlite.write(RESIZE, which="a", size=4) == 1
    assert checked_out(sqlite) == 0


async def test_a_lock_of_another_program_is_an_error_after_the_busy_timeout(
    each_database_url: str, sqlite: DatabaseEngine
) -> None:
    single = DatabaseEngine(sqlite.url.render_as_string(), pool_size=1)
    await twice(single.write, RESIZE, which="a", size=1)
    async with single.engine.connect() as connection:
        adapted: Any = (await connection.get_raw_connection()).dbapi_connection
        adapted.driver_connection._conn.execute("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(str(sqlite.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseLockedError, match="database is locked"):
            await single.write(RESIZE, which="a", size=2)
    assert await single.write(RESIZE, which="a", size=3) == 1
    await single.dispose()


class BrokenDisk:
    """A connection of SQLite whose COMMIT fails, and says nothing about the transaction."""

    in_transaction = False

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.rollback = connection.rollback

    def commit(self) -> None:
        raise sqlite3.OperationalError("disk I/O error")


async def test_a_write_whose_commit_fails_is_not_executed_again(
    sqlite: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await twice(sqlite.write, RESIZE, which="a", size=1)
    broken = property(lambda self: BrokenDisk(self._connection))
    monkeypatch.setattr(driver.Driver, "_conn", broken)
    with pytest.raises(DBAPIError, match="disk I/O error"):
        await sqlite.write(RESIZE, which="a", size=2)
    monkeypatch.undo()
    assert await sqlite.read(_SIZE, which="a") == [(1,)]
    assert await sqlite.write(RESIZE, which="a", size=3) == 1


async def test_a_write_that_is_stopped_between_two_statements_is_undone(
    sqlite: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await twice(sqlite.write, RESIZE, which="a", size=1)

    fetch = driver._fetch

    async with sqlite.engine.connect() as connection:
        adapted: Any = (await connection.get_raw_connection()).dbapi_connection

        def and_interrupt(*args: Any) -> Any:
            outcome = fetch(*args)
            adapted.driver_connection._interrupt()  # SQLite does not notice: no statement runs
            return outcome

        monkeypatch.setattr(driver, "_fetch", and_interrupt)
        prepared = sqlite._preparer.find(RESIZE, {"which": "a", "size": 2})
        step = (prepared.sql, prepared.parameters({"which": "a", "size": 2}))
        with pytest.raises(StatementTimeoutError):
            await connection.run_sync(lambda _: adapted.execute_all([step]))
        monkeypatch.undo()
    assert await sqlite.read(_SIZE, which="a") == [(1,)]


# PostgreSQL


@pytest.fixture
async def postgres(postgresql_url: str) -> AsyncIterator[DatabaseEngine]:
    opened = DatabaseEngine(postgresql_url, pool_size=4, pool_timeout=0.2, pool_queue=4)
    async with opened.engine.begin() as connection:
        await connection.run_sync(TABLES.create_all)
        await connection.execute(INSERT, [{"name": "a"}, {"name": "b"}])
    yield opened
    await opened.dispose()


@pytest.mark.postgresql
async def test_a_value_that_the_driver_refuses_leaves_no_lock(
    postgres: DatabaseEngine, postgresql_url: str
) -> None:
    assert await postgres.write(RESIZE, which="a", size=1) == 1
    with pytest.raises(DBAPIError):  # this time without SQLAlchemy
        await postgres.write(RESIZE, which="a", size=2**70)
    other = DatabaseEngine(postgresql_url)
    async with other.begin() as session:
        await session.execute(sa.text("SET LOCAL lock_timeout = 100"))
        await session.execute(sa.text("ALTER TABLE things ADD COLUMN more INTEGER"))
    await other.dispose()


@pytest.mark.postgresql
async def test_reads_wait_for_a_connection_as_sessions_do(postgres: DatabaseEngine) -> None:
    statement = slow(postgres)
    await twice(postgres.read, statement, much=0)
    holding = [asyncio.create_task(postgres.read(statement, much=60)) for _ in range(4)]
    await asyncio.sleep(0.05)
    assert checked_out(postgres) == 4
    waiting = [asyncio.create_task(postgres.read(statement, much=0)) for _ in range(4)]
    await asyncio.sleep(0.02)
    with pytest.raises(DatabaseQueueFullError):
        await postgres.read(statement, much=0)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {DatabaseTimeoutError}
    for each in holding:
        each.cancel()
    await asyncio.gather(*holding, return_exceptions=True)
    assert checked_out(postgres) == 0


async def kill_others(database: DatabaseEngine) -> None:
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    kill = sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    left = sa.text(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")
    killer = DatabaseEngine(database.url.render_as_string(hide_password=False))
    await killer.read(kill)
    async with asyncio.timeout(60):
        while await killer.read(left) != [(0,)]:
            pass
    await killer.dispose()


@pytest.mark.postgresql
async def test_a_read_on_a_connection_that_was_ended_is_repeated(postgres: DatabaseEngine) -> None:
    await twice(postgres.read, NAMES)
    await twice(postgres.write, RESIZE, which="a", size=1)
    for _ in range(2):
        await kill_others(postgres)
        assert await postgres.read(NAMES) == [("a",), ("b",)]
    await kill_others(postgres)
    assert await postgres.write(RESIZE, which="a", size=2) == 1
    assert checked_out(postgres) == 0


@pytest.mark.postgresql
async def test_only_reads_trust_a_connection_and_only_for_a_moment(
    postgres: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[str] = []
    async with postgres.engine.connect() as connection:
        driver: Any = type((await connection.get_raw_connection()).driver_connection)
    execute = driver.execute

    async def spy(self: object, query: str, *args: Any, **options: Any) -> Any:
        if query == "SELECT 1":
            checks.append(query)
        return await execute(self, query, *args, **options)

    await twice(postgres.read, NAMES)
    await twice(postgres.write, RESIZE, which="a", size=1)
    monkeypatch.setattr(driver, "execute", spy)
    await postgres.read(NAMES)
    assert not checks
    await postgres.write(RESIZE, which="a", size=1)
    async with postgres.session(write=False) as session:
        await session.execute(NAMES)
    assert len(checks) == 2
    monkeypatch.setattr(limited, "FRESH", -1)
    await postgres.read(NAMES)
    assert len(checks) == 3


@pytest.mark.postgresql
@pytest.mark.parametrize("number", [1, 2])
async def test_a_write_whose_connection_is_lost_is_not_executed_again(
    postgres: DatabaseEngine, number: int
) -> None:
    """The server may have committed it before the connection was lost."""
    await twice(postgres.write, RESIZE, which="a", size=1)
    async with postgres.session() as session:
        await session.execute(sa.select(C.id).with_for_update())
        steps = [(RESIZE, {"which": "a", "size": 2})] * number
        writing = asyncio.create_task(postgres.write_all(*steps))
        blocked = "datname = current_database() AND wait_event_type = 'Lock'"
        kill = sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {blocked}")
        async with asyncio.timeout(60):
            while await postgres.read(kill) != [(True,)]:
                pass
        with pytest.raises(DBAPIError, match="closed in the middle of operation") as caught:
            await asyncio.wait_for(writing, 30)  # executed again, it would wait for the row
        assert caught.value.connection_invalidated
        assert "which" not in str(caught.value)
    assert await postgres.read(_SIZE, which="a") == [(1,)]
    assert checked_out(postgres) == 0


@pytest.mark.postgresql
@pytest.mark.parametrize("writes", [False, True])
async def test_a_line_that_falls_silent_is_given_up(
    postgresql_url: str, postgres: DatabaseEngine, monkeypatch: pytest.MonkeyPatch, writes: bool
) -> None:
    monkeypatch.setattr(limited, "MARGIN", 0.1)
    monkeypatch.setattr(limited, "PATIENCE", 0.1)
    monkeypatch.setattr(limited, "FRESH", 60)
    async with silent_proxy(postgresql_url) as (proxy, url):
        database = DatabaseEngine(url, pool_size=1, statement_timeout=0.2)
        execute = database.write if writes else database.read
        values: dict[str, Any] = {"which": "a", "size": 2} if writes else {}
        await twice(execute, RESIZE if writes else NAMES, **values)
        if writes:  # which asks first whether the connection is alive
            monkeypatch.setattr(limited.LimitedDialect, "do_ping", lambda *_: True)
        proxy.generation += 1
        async with asyncio.timeout(60):
            with pytest.raises(StatementTimeoutError):
                await execute(RESIZE if writes else NAMES, **values)
            assert len(await database.read(NAMES)) == 2
        assert checked_out(database) == 0
        await database.dispose()
