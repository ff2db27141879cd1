"""What a test writes into a database is gone after it, also what the application under it wrote.

The contents are copied before the test, and restored after it if they have changed. So everything
works within a test as it does without: several connections at a time, commits and rollbacks, errors
that abort a transaction, statements without a session. One outer transaction would allow only one
connection, and an error in it or a lock would mean something else than in production
(docs/decisions/0170).
"""

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from sqlalchemy import URL, make_url

LARGEST = 64 * 1024 * 1024
"""Bytes of a database that is still taken for one of tests."""

LOCK_SECONDS = 5
"""Seconds to wait for the transactions that a test has left open."""


class NotIsolatedError(RuntimeError):
    """A database cannot be restored after a test; the message says why, and what to do."""


class Backup(Protocol):
    """The contents of a database at one moment."""

    async def take(self) -> None:
        """Copy the contents."""

    async def restore(self) -> None:
        """Restore what was copied, if it has changed."""


def backup_of(url: str | URL) -> Backup:
    """See `isolated`; nothing is copied yet. Raises NotIsolatedError for other databases."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        return _SQLite(address)
    if address.get_backend_name() == "postgresql":
        return _PostgreSQL(address)
    raise NotIsolatedError(f"{address.get_backend_name()} databases cannot be isolated")


@asynccontextmanager
async def isolated(url: str | URL) -> AsyncIterator[None]:
    """Restore the contents of an SQLite or PostgreSQL database at the end of the block.

    On SQLite all of it; on PostgreSQL the rows of all tables and the values of sequences, and
    tables that are new are dropped. Tables that a test alters or drops there cannot be restored:
    NotIsolatedError. So does a database of more than LARGEST bytes, which is hardly one of tests.
    What others write into the database at the same time is lost.
    """
    backup = backup_of(url)
    await backup.take()
    try:
        yield
    finally:
        await backup.restore()


_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class _SQLite:
    """The pages of an SQLite database, in memory."""

    def __init__(self, url: URL) -> None:
        self._name = url.database or ":memory:"
        self._options: dict[str, Any] = {"uri": True} if self._name.startswith("file:") else {}
        if self._options and url.query:
            query = "&".join(f"{key}={value}" for key, value in url.query.items() if key != "uri")
            self._name = f"{self._name}?{query}"
        self._pages = b""

    async def take(self) -> None:
        self._pages = self._copy()

    async def restore(self) -> None:
        pages = self._pages
        if self._copy() == pages:
            return
        end = monotonic() + LOCK_SECONDS

        def give_up(status: int, _remaining: int, _pages: int) -> None:
            if (
                status in _LOCKED and monotonic() > end
            ):  # otherwise it would wait for a lock for ever
                raise NotIsolatedError(
                    f"{self._name} could not be restored after the test: a transaction that the "
                    "test or the application has begun is still open."
                )

        with (
            closing(sqlite3.connect(":memory:")) as memory,
            closing(self._open(0)) as target,
        ):
            if pages:
                memory.deserialize(pages)
            target.execute("PRAGMA synchronous = OFF")
            memory.backup(target, progress=give_up, sleep=0.02)

    def _copy(self) -> bytes:
        if not self._options and not Path(self._name).exists():
            return b""  # to open it would create it
        with (
            closing(self._open(LOCK_SECONDS)) as source,
            closing(sqlite3.connect(":memory:")) as memory,
        ):
            [(count,)] = source.execute("PRAGMA page_count")
            [(size,)] = source.execute("PRAGMA page_size")
            if count * size > LARGEST:
                raise NotIsolatedError(_too_large(self._name, count * size))
            source.backup(memory)
            pages = bytearray(memory.serialize())
        # A copy in memory has no write-ahead log. Its file format says so in bytes 18 and 19.
        pages[18:20] = b"\1\1" if pages else b""
        return bytes(pages)

    def _open(self, timeout: float) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(
            self._name, timeout=timeout, isolation_level=None, **self._options
        )
        return connection


_TABLES = """
    SELECT c.oid, format('%I.%I', n.nspname, c.relname), n.nspname, c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't'
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 2
"""
_COLUMNS = """
    SELECT attrelid, string_agg(attname || ' ' || atttypid, ',' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = ANY($1::oid[]) AND attnum > 0 AND NOT attisdropped GROUP BY attrelid
"""
_REFERENCES = "SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f'"
_SEQUENCES = """
    SELECT format('%I.%I', schemaname, sequencename), last_value, start_value FROM pg_sequences
    WHERE schemaname !~ '^pg_'
"""
_OBJECTS = """
    WITH own AS (
        SELECT oid FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
    ), object (class, oid) AS (
        SELECT 'pg_namespace'::regclass, oid FROM own
        UNION ALL SELECT 'pg_class'::regclass, oid FROM pg_class
            WHERE relnamespace IN (SELECT oid FROM own) AND relkind NOT IN ('r', 'c')
        UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc
            WHERE pronamespace IN (SELECT oid FROM own)
        UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type
            WHERE typnamespace IN (SELECT oid FROM own) AND typtype IN ('d', 'e', 'r')
        UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint
            WHERE connamespace IN (SELECT oid FROM own)
        UNION ALL SELECT 'pg_trigger'::regclass, t.oid FROM pg_trigger t
            JOIN pg_class c ON c.oid = t.tgrelid
            WHERE NOT t.tgisinternal AND c.relnamespace IN (SELECT oid FROM own)
    )
    SELECT class || ' ' || oid, pg_describe_object(class, oid, 0) FROM object
"""
_NEXT = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
"""The number of the next transaction that writes: while it stays, nothing was written."""


@dataclass(slots=True)
class _Table:
    name: str
    schema: str
    relation: str
    columns: str = ""
    rows: bytes = b""
    digest: bytes = b""


@dataclass(slots=True)
class _State:
    tables: dict[int, _Table] = field(default_factory=dict)
    sequences: dict[str, tuple[int | None, int]] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    next: str = ""


class _PostgreSQL:
    """The rows of all tables of a PostgreSQL database, in memory, and its sequences."""

    def __init__(self, url: URL) -> None:
        self._address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._before = _State()

    async def take(self) -> None:
        connection = await self._connect()
        try:
            self._before = await _state(connection)
        finally:
            await connection.close()

    async def restore(self) -> None:
        connection = await self._connect()
        try:
            if await connection.fetchval(_NEXT) != self._before.next:
                await self._restore(connection)
                await self._check_objects(connection)
        finally:
            await connection.close()

    async def _connect(self) -> Any:
        import asyncpg

        return await asyncpg.connect(self._address, timeout=LOCK_SECONDS)

    async def _restore(self, connection: Any) -> None:
        import asyncpg

        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
                if names := [name for _, name, *_ in await connection.fetch(_TABLES)]:
                    # Waits for transactions that write, and keeps later ones out.
                    await connection.execute(
                        f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE"
                    )
                await self._put_back(connection, await _state(connection))
        except asyncpg.LockNotAvailableError as error:
            raise NotIsolatedError(
                "the database could not be restored after the test: a transaction that the test or "
                f"the application has begun is still open ({error})."
            ) from error

    async def _check_objects(self, connection: Any) -> None:
        before, now = self._before.objects, dict(await connection.fetch(_OBJECTS))
        made = sorted(now[key] for key in now.keys() - before.keys())
        dropped = sorted(before[key] for key in before.keys() - now.keys())
        if made or dropped:
            raise NotIsolatedError(
                f"the test has created or dropped {', '.join(made + dropped)}, which is not undone "
                "on PostgreSQL: give tests that migrate a database of their own."
            )

    async def _put_back(self, connection: Any, now: _State) -> None:
        before = self._before.tables
        changed_shape = [
            table.name
            for oid, table in before.items()
            if oid not in now.tables or now.tables[oid].columns != table.columns
        ]
        if changed_shape:
            raise NotIsolatedError(
                f"the test has dropped or altered {', '.join(changed_shape)}, which is not undone "
                "on PostgreSQL: give tests that migrate a database of their own."
            )
        if new := [table.name for oid, table in now.tables.items() if oid not in before]:
            await connection.execute(f"DROP TABLE {', '.join(new)} CASCADE")
        if changed := {oid for oid, old in before.items() if old.digest != now.tables[oid].digest}:
            order = await _order(connection, changed, before)
            for oid in reversed(order):
                await connection.execute(f"DELETE FROM {before[oid].name}")
            for oid in order:
                if before[oid].rows:
                    await connection.copy_to_table(
                        before[oid].relation,
                        schema_name=before[oid].schema,
                        source=BytesIO(before[oid].rows),
                        format="binary",
                    )
        for name, (last, start) in self._before.sequences.items():
            if now.sequences.get(name, (last, start)) != (last, start):
                await connection.execute(
                    "SELECT setval($1::text::regclass, $2, $3)",
                    name,
                    start if last is None else last,
                    last is not None,
                )


async def _state(connection: Any) -> _State:
    state = _State(next=await connection.fetchval(_NEXT))
    size = await connection.fetchval("SELECT pg_database_size(current_database())")
    if size > LARGEST:
        raise NotIsolatedError(_too_large("the database", size))
    for oid, name, schema, relation in await connection.fetch(_TABLES):
        state.tables[oid] = _Table(name, schema, relation)
    for oid, columns in await connection.fetch(_COLUMNS, list(state.tables)):
        state.tables[oid].columns = columns
    for table in state.tables.values():
        rows = BytesIO()
        await connection.copy_from_table(
            table.relation, schema_name=table.schema, output=rows, format="binary"
        )
        table.rows = rows.getvalue()
        table.digest = hashlib.blake2b(table.rows).digest()
    state.objects = dict(await connection.fetch(_OBJECTS))
    for name, last, start in await connection.fetch(_SEQUENCES):
        state.sequences[name] = (last, start)
    return state


async def _order(connection: Any, changed: set[int], tables: Iterable[int]) -> list[int]:
    """The tables to fill again, each after those that it refers to.

    With the changed ones come those that refer to them, whose rows may be deleted with them. A
    superuser's triggers and checks rest, which also allows tables that refer to each other.
    """
    if await connection.fetchval("SELECT current_setting('is_superuser')") == "on":
        await connection.execute("SET LOCAL session_replication_role = replica")
        return list(changed)
    graph: dict[int, set[int]] = {oid: set() for oid in tables}
    for referring, referred in await connection.fetch(_REFERENCES):
        if referring in graph and referred in graph and referring != referred:
            graph[referring].add(referred)
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise NotIsolatedError(
            "tables that refer to each other can only be restored by a superuser of PostgreSQL"
        ) from error
    affected = set(changed)
    for oid in order:
        if graph[oid] & affected:
            affected.add(oid)
    return [oid for oid in order if oid in affected]


def _too_large(name: str, size: int) -> str:
    return (
        f"{name} has {size >> 20} MB: isolation copies a database for each test. Use a small "
        "database for tests, or override the fixture `isolate_database` to return False."
    )
