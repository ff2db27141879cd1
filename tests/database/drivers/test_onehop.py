"""The dialect for SQLite does what SQLAlchemy expects, and a statement is one hop to a thread."""

import asyncio
import gc
import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from quartapp.database import DatabaseEngine
from quartapp.database.drivers import driver as threads
from quartapp.database.drivers import write_lock as turns
from quartapp.database.errors import DatabaseLockedError, StatementTimeoutError
from tests.shop.app import Base, Customer

SLOW = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000000)"
    " SELECT count(*) FROM n"
)


def customer(name: str) -> dict[str, Any]:
    return {"name": name, "email": name}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[DatabaseEngine]:
    database = DatabaseEngine(f"sqlite:///{tmp_path / 'test.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(insert(Customer), [customer("susan"), customer("john")])
    yield database
    await database.dispose()


class Hops:
    """Counts the calls that are sent to connections' threads, from aiosqlite's own log."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog

    async def count(self, expected: int) -> int:
        """Wait until so many were sent (the end of a read is sent without waiting), and see
        whether more come."""
        deadline = time.monotonic() + 30
        while self._sent() < expected and time.monotonic() < deadline:  # noqa: ASYNC110 no event
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        return self._sent()

    def _sent(self) -> int:
        return sum("executing" in record.message for record in self.caplog.records)


@pytest.fixture
def hops(database: DatabaseEngine, caplog: pytest.LogCaptureFixture) -> Hops:
    caplog.set_level(logging.DEBUG, "aiosqlite")
    caplog.clear()
    return Hops(caplog)


def checked_out(database: DatabaseEngine) -> int:
    pool: Any = database.engine.sync_engine.pool
    return int(pool.checkedout())


def holder(tmp_path: Path) -> sqlite3.Connection:
    """A connection of another program, which holds the write lock."""
    other = sqlite3.connect(tmp_path / "test.db", isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    return other


async def names(database: DatabaseEngine) -> list[str]:
    async with database.session(write=False) as session:
        return list(await session.scalars(select(Customer.name).order_by(Customer.id)))


@pytest.mark.slow
async def test_a_select_is_one_hop_with_its_begin_and_one_for_the_end(
    database: DatabaseEngine, hops: Hops
) -> None:
    async with database.session(write=False) as session:
        assert len((await session.scalars(select(Customer.name))).all()) == 2
        assert await hops.count(1) == 1
        assert len((await session.scalars(select(Customer.name))).all()) == 2
        assert await hops.count(2) == 2
    await names(database)
    assert await hops.count(3 + 2) == 3 + 2


async def test_a_transaction_that_sent_nothing_is_no_hop(
    database: DatabaseEngine, hops: Hops
) -> None:
    async with database.engine.connect() as connection, connection.begin():
        pass
    async with database.engine.connect() as connection:
        await (await connection.begin()).rollback()
    assert await hops.count(0) == 0


async def test_a_write_is_one_hop_and_its_commit_another(
    database: DatabaseEngine, hops: Hops
) -> None:
    async with database.begin() as session:
        await session.execute(update(Customer).values(note="x"))
    assert await hops.count(2) == 2


async def test_statements_without_a_session_are_one_hop(
    database: DatabaseEngine, hops: Hops
) -> None:
    statement = update(Customer).values(note=bindparam("new"))
    for _ in range(2):  # the second time it is prepared
        hops.caplog.clear()
        assert await database.write(statement, new="x") == 2
    assert await hops.count(1) == 1


async def test_a_write_that_fails_is_one_hop(database: DatabaseEngine, hops: Hops) -> None:
    """With its rollback: who waits for it holds the write lock, and may be cancelled."""
    statement = update(Customer).values(email=bindparam("new"))
    for _ in range(2):  # the second time it is prepared
        hops.caplog.clear()
        with pytest.raises(IntegrityError):
            await database.write(statement, new="x")
    assert await hops.count(1) == 1
    async with asyncio.timeout(30):
        assert await database.write(update(Customer).values(note="y")) == 2


async def test_the_end_of_a_read_does_not_wait_for_the_thread(database: DatabaseEngine) -> None:
    may_end = threading.Event()
    async with database.session(write=False) as session:
        await session.execute(select(Customer.id))
        raw: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        raw._tx.put_nowait((None, lambda: may_end.wait(60)))
        async with asyncio.timeout(30):
            await session.rollback()
        assert not session.in_transaction()
    may_end.set()


async def test_a_transaction_reads_one_state_of_the_database(database: DatabaseEngine) -> None:
    async with database.session(write=False) as reader:
        assert len((await reader.scalars(select(Customer.id))).all()) == 2
        async with database.begin() as writer:
            await writer.execute(insert(Customer), customer("mary"))
        assert len((await reader.scalars(select(Customer.id))).all()) == 2
    assert len(await names(database)) == 3


async def test_nothing_stays_open_after_a_read(database: DatabaseEngine) -> None:
    """With an open transaction the write-ahead log would never be emptied."""
    await names(database)
    await names(database)
    async with database.engine.connect() as connection:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        row = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()
    assert row[0] == 0


async def test_autocommit_begins_nothing(database: DatabaseEngine) -> None:
    async with database.engine.connect() as connection:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql("VACUUM")  # an error within a transaction
        raw: Any = (await connection.get_raw_connection()).driver_connection
        assert not raw.in_transaction


async def test_a_connection_that_wrote_takes_no_lock_to_read(tmp_path: Path) -> None:
    database = DatabaseEngine(f"sqlite:///{tmp_path / 'one.db'}", pool_size=1)
    async with database.begin() as session:
        await session.execute(text("CREATE TABLE things (name)"))
    with closing(sqlite3.connect(tmp_path / "one.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with database.session(write=False) as session:
            assert (await session.execute(text("SELECT * FROM things"))).all() == []
    await database.dispose()


async def test_transactions_are_ours_again_after_autocommit(tmp_path: Path) -> None:
    database = DatabaseEngine(f"sqlite:///{tmp_path / 'one.db'}", pool_size=1)
    async with database.engine.connect() as connection:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql("CREATE TABLE things (name)")
    async with database.session() as session:
        await session.execute(text("SELECT * FROM things"))  # takes the write lock
        with (
            closing(sqlite3.connect(tmp_path / "one.db", isolation_level=None, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")
    await database.dispose()


async def test_a_transaction_that_a_statement_began_is_rolled_back_too(tmp_path: Path) -> None:
    database = DatabaseEngine(f"sqlite:///{tmp_path / 'one.db'}", pool_size=1)
    async with database.begin() as session:
        await session.execute(text("CREATE TABLE things (name)"))
    async with database.engine.connect() as connection:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql("BEGIN")
        await connection.exec_driver_sql("INSERT INTO things VALUES ('lost')")
    async with database.session() as session:
        await session.execute(text("COMMIT"))
        await session.execute(text("BEGIN"))
        await session.execute(text("INSERT INTO things VALUES ('lost')"))
    async with database.session(write=False) as session:
        assert (await session.execute(text("SELECT * FROM things"))).all() == []
    await database.dispose()


async def test_a_second_begin_is_refused(database: DatabaseEngine) -> None:
    async with database.engine.connect() as connection, connection.begin():
        raw: Any = (await connection.get_raw_connection()).driver_connection
        with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
            raw.begin()


async def test_results_tell_what_a_cursor_tells(database: DatabaseEngine) -> None:
    async with database.engine.begin() as connection:
        changed = await connection.execute(update(Customer).values(note="x"))
        added = await connection.execute(insert(Customer).values(**customer("mary")))
        many = await connection.execute(
            text("INSERT INTO friends VALUES (:a, :b)"), [{"a": 1, "b": 2}, {"a": 2, "b": 1}]
        )
        returned = await connection.execute(
            insert(Customer).returning(Customer.id), [customer("ada"), customer("alan")]
        )
        found = await connection.execute(select(Customer.id, Customer.name).order_by(Customer.id))
    assert (changed.rowcount, many.rowcount) == (2, 2)
    assert added.inserted_primary_key == (3,)
    assert sorted(returned.scalars()) == [4, 5]
    assert list(found.keys()) == ["id", "name"]
    assert found.fetchone() == (1, "susan")
    assert found.fetchmany(2) == [(2, "john"), (3, "mary")]
    assert found.fetchall() == [(4, "ada"), (5, "alan")]


async def test_a_savepoint_is_rolled_back_alone(database: DatabaseEngine) -> None:
    async with database.begin() as session:
        async with session.begin_nested():
            await session.execute(insert(Customer), customer("mary"))
        savepoint = await session.begin_nested()
        await session.execute(insert(Customer), customer("ada"))
        with pytest.raises(IntegrityError):
            await session.execute(insert(Customer), customer("susan"))
        await savepoint.rollback()
    assert await names(database) == ["susan", "john", "mary"]


async def test_a_stream_is_read_in_parts_within_its_transaction(database: DatabaseEngine) -> None:
    async with database.session() as session:
        result = await session.stream(SLOW_ROWS)
        first = await anext(aiter(result))
        assert first == (1,)
        raw: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        assert raw.in_transaction
        await result.close()


SLOW_ROWS = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000000)"
    " SELECT i FROM n"
)


@pytest.mark.parametrize(
    ("statement", "expected", "message"),
    [
        (insert(Customer).values(**customer("susan")), IntegrityError, "customers.email"),
        (text("SELECT missing FROM customers"), OperationalError, "no such column"),
    ],
)
async def test_errors_are_the_drivers_and_the_connection_stays(
    database: DatabaseEngine, statement: Any, expected: type[Exception], message: str
) -> None:
    async with database.session() as session:
        with pytest.raises(expected, match=message) as caught:
            await session.execute(statement)
        assert isinstance(getattr(caught.value, "orig", None), sqlite3.Error)
        await session.rollback()
        await session.execute(insert(Customer), customer("mary"))
        await session.commit()
    assert await names(database) == ["susan", "john", "mary"]


async def test_a_closed_connection_is_a_disconnect(database: DatabaseEngine) -> None:
    async with database.engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.close()
        with pytest.raises(OperationalError, match="no active connection") as caught:
            await connection.execute(text("SELECT 1"))
        assert caught.value.connection_invalidated
    assert await names(database) == ["susan", "john"]


async def test_a_lock_of_another_program_is_waited_for_and_then_an_error(
    database: DatabaseEngine, tmp_path: Path
) -> None:
    other = holder(tmp_path)
    async with database.session() as session:
        connection = await session.connection()
        adapted: Any = (await connection.get_raw_connection()).dbapi_connection
        adapted.driver_connection._conn.execute("PRAGMA busy_timeout = 20")
        with pytest.raises(DatabaseLockedError, match="database is locked"):
            await session.execute(update(Customer).values(note="x"))
        assert not adapted.dbapi.write_lock.locked
        await session.rollback()
        other.close()
        await session.execute(update(Customer).values(note="x"))
        await session.commit()


async def test_writers_take_turns_in_the_order_of_their_coming(database: DatabaseEngine) -> None:
    done: list[int] = []

    async def write(number: int) -> None:
        async with database.begin() as session:
            connection = await (await session.connection()).get_raw_connection()
            raw: Any = connection.driver_connection
            # A connection that finds SQLite's lock taken fails at once, instead of trying again.
            raw._conn.execute("PRAGMA busy_timeout = 0")
            await session.execute(update(Customer).values(note=str(number)))
            await asyncio.sleep(0.005)
        done.append(number)

    await asyncio.gather(*(names(database) for _ in range(10)))  # opens the connections
    await asyncio.gather(*(write(number) for number in range(10)))
    assert done == list(range(10))


async def test_a_wait_for_a_turn_is_bounded(
    database: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    async with database.begin() as first, database.session() as second:
        await first.execute(update(Customer).values(note="1"))
        with pytest.raises(DatabaseLockedError, match="database is locked"):
            await second.execute(update(Customer).values(note="2"))
    async with database.begin() as third:
        await third.execute(update(Customer).values(note="3"))


async def test_a_cancelled_wait_leaves_the_queue(database: DatabaseEngine) -> None:
    async def write() -> None:
        async with database.begin() as session:
            await session.execute(update(Customer).values(note="x"))

    async with database.begin() as first:
        await first.execute(update(Customer).values(note="1"))
        waiting = asyncio.create_task(write())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await write()
    assert checked_out(database) == 0


@pytest.mark.slow
@pytest.mark.parametrize("write", [False, True])
async def test_a_cancelled_statement_is_stopped_and_leaves_nothing(
    database: DatabaseEngine, write: bool
) -> None:
    async def ask() -> None:
        async with database.session(write=write) as session:
            await session.execute(SLOW)

    task = asyncio.create_task(ask())
    await asyncio.sleep(0.1)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 20  # the statement itself takes a minute
    assert checked_out(database) == 0
    async with database.begin() as session:
        await session.execute(update(Customer).values(note="x"))


@pytest.mark.slow
async def test_a_statement_that_was_cancelled_before_its_start_never_runs(
    database: DatabaseEngine,
) -> None:
    async def ask() -> None:
        async with database.engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            raw._tx.put_nowait((None, lambda: time.sleep(0.2)))
            await connection.execute(SLOW)

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(), 0.05)
    assert time.monotonic() - started < 20  # the statement itself takes a minute


@pytest.mark.slow
async def test_what_was_cancelled_is_not_written(database: DatabaseEngine) -> None:
    async def write() -> None:
        async with database.begin() as session:
            await session.execute(update(Customer).values(note="lost"))
            await session.execute(SLOW)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(write(), 0.1)
    async with database.session(write=False) as session:
        assert set(await session.scalars(select(Customer.note))) == {""}


@pytest.mark.slow
async def test_a_transaction_that_sqlite_has_rolled_back_does_nothing_more(tmp_path: Path) -> None:
    """It does so when a statement that writes is interrupted. The next one would be committed."""
    database = DatabaseEngine(f"sqlite:///{tmp_path / 'test.db'}", statement_timeout=0.1)
    async with database.begin() as session:
        await session.execute(text("CREATE TABLE things (name)"))
    async with database.session() as session:
        await session.execute(text("INSERT INTO things VALUES ('lost')"))
        with pytest.raises(StatementTimeoutError):
            await session.execute(text(f"INSERT INTO things {SLOW}"))
        for further in (session.execute(text("INSERT INTO things VALUES ('x')")), session.commit()):
            with pytest.raises(OperationalError, match="rolled the transaction back"):
                await further
        await session.rollback()
        await session.execute(text("INSERT INTO things VALUES ('kept')"))
        await session.commit()
        assert (await session.scalars(text("SELECT name FROM things"))).all() == ["kept"]
    await database.dispose()


async def test_a_connection_that_was_cancelled_while_it_opened_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, cancelled, closed = threading.Event(), threading.Event(), threading.Event()
    connect: Any = sqlite3.connect

    class Connection(sqlite3.Connection):
        def close(self) -> None:
            super().close()
            closed.set()

    def slow_connect(*args: Any, **options: Any) -> sqlite3.Connection:
        opening.set()
        cancelled.wait(30)
        opened: sqlite3.Connection = connect(*args, **options, factory=Connection)
        return opened

    monkeypatch.setattr(sqlite3, "connect", slow_connect)
    database = DatabaseEngine(f"sqlite:///{tmp_path / 'opening.db'}")
    ping = asyncio.create_task(database.ping())
    await asyncio.to_thread(opening.wait, 30)
    ping.cancel()
    await asyncio.wait([ping])
    cancelled.set()
    await database.dispose()
    assert await asyncio.to_thread(closed.wait, 30)


async def test_every_thread_ends_with_the_engine(tmp_path: Path) -> None:
    before = set(threading.enumerate())  # some of them may be about to end
    database = DatabaseEngine(f"sqlite:///{tmp_path / 'threads.db'}")

    async def ask() -> None:
        async with database.session(write=False) as session:
            await session.execute(text("SELECT 1"))

    await asyncio.gather(*(ask() for _ in range(5)))
    assert set(threading.enumerate()) - before
    await database.dispose()
    async with asyncio.timeout(30):
        while set(threading.enumerate()) - before:  # noqa: ASYNC110 a thread's end has no event
            await asyncio.sleep(0.01)


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning", "ignore::ResourceWarning")
async def test_a_forgotten_connection_gives_its_turn_back(database: DatabaseEngine) -> None:
    async def forget() -> None:
        connection = await database.engine.connect()
        connection = await connection.execution_options(isolation_level="IMMEDIATE")
        await connection.execute(update(Customer).values(note="x"))

    await forget()
    gc.collect()
    async with asyncio.timeout(30):
        assert await database.write(update(Customer).values(note="y")) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
async def test_a_slow_statement_gives_way_and_its_thread_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = DatabaseEngine(f"sqlite:///{tmp_path / 'one.db'}", pool_size=1, statement_timeout=2)

    async def thread() -> int:
        async with database.engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            return int(raw._thread.native_id)

    usual, before = os.getpriority(os.PRIO_PROCESS, 0), await thread()
    async with database.engine.connect() as connection:
        monkeypatch.setattr(threads, "SLOW", 0.05)
        running = asyncio.create_task(connection.execute(SLOW))
        async with asyncio.timeout(60):
            while os.getpriority(os.PRIO_PROCESS, before) <= usual:  # noqa: ASYNC110 no event
                await asyncio.sleep(0.01)
        monkeypatch.undo()
        with pytest.raises(StatementTimeoutError):
            await running
    after = await thread()
    assert os.getpriority(os.PRIO_PROCESS, after) == usual
    assert await thread() == after
    await database.dispose()


def test_a_connection_that_cannot_be_opened_has_ended_its_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread would find the event loop of a command closed, and print a traceback."""

    async def connect() -> None:
        database = DatabaseEngine(f"sqlite:///{tmp_path}")
        with pytest.raises(OperationalError):
            await database.ping()

    errors: list[object] = []
    monkeypatch.setattr(threading, "excepthook", errors.append)
    for _ in range(20):
        asyncio.run(connect())
    assert not errors


def test_a_thread_whose_event_loop_has_ended_closes_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the start of an application fails while reporting connects."""
    opening, has_ended = threading.Event(), threading.Event()
    connect: Any = sqlite3.connect

    def slow_connect(*args: Any, **options: Any) -> sqlite3.Connection:
        opening.set()
        has_ended.wait(30)
        opened: sqlite3.Connection = connect(*args, **options)
        return opened

    async def leave() -> set[threading.Thread]:
        await asyncio.to_thread(threading.current_thread)  # the loop has a thread now
        before = set(threading.enumerate())
        database = DatabaseEngine(f"sqlite:///{tmp_path / 'ended.db'}")
        ping = asyncio.create_task(database.ping())
        await asyncio.to_thread(opening.wait, 30)
        ping.cancel()
        await asyncio.wait([ping])
        return set(threading.enumerate()) - before

    errors: list[object] = []
    monkeypatch.setattr(threading, "excepthook", errors.append)
    monkeypatch.setattr(sqlite3, "connect", slow_connect)
    threads = asyncio.run(leave())
    has_ended.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert threads
    assert not errors
