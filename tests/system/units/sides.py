"""The two ways to execute a step: the project's `DatabaseEngine`, and SQLAlchemy alone."""

import sqlite3
from typing import Any

import asyncpg
from sqlalchemy import Row, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from quartapp.database import DatabaseEngine
from tests.system.units import statements
from tests.system.units.statements import Statement
from tests.system.units.tables import TABLES, Base, Person

ORACLE_SCHEMA = "oracle"
"""Where the oracle has its tables, if both sides use one database of PostgreSQL."""

_ROWS = (
    "INSERT INTO people (id, name, email, about, joined, is_admin, epoch) VALUES"
    " (1, 'susan', 'susan@example.com', '', '2026-01-01 00:00:00.000000', TRUE, 1),"
    " (2, 'ŝusan', NULL, 'x', '2025-12-31 23:00:00.000001', FALSE, 0),"
    " (1099511627776, '', '', 'y', '0001-01-01 00:00:00.000000', TRUE, 2147483647)",
    "INSERT INTO notes (id, body, at, person_id, digest, revision) VALUES"
    " (1, 'first', '2026-01-01 00:00:00.000000', 1, 'a', 1), (2, NULL, NULL, 1, NULL, NULL),"
    " (3, 'third', '2026-01-03 00:00:00.000000', 2, 'a', 2)",
    "INSERT INTO follows (follower_id, followed_id) VALUES (2, 1)",
    "INSERT INTO things (id, ratio) VALUES (1, 0.5), (1099511627776, NULL)",
    "INSERT INTO counters (id, total) VALUES (0, 2147483647), (1, 0), (2, NULL)",
)


class Side:
    """A database with the tables, and an observer's connection to it by the driver alone."""

    def __init__(self, url: str, schema: str = "") -> None:
        self.url, self.schema = url, schema
        self.is_sqlite = url.startswith("sqlite")
        self.altered = 0
        self._gone: set[int] = set()
        self._statements: dict[int, Statement] = {}

    async def open(self) -> None:
        if self.is_sqlite:
            path = make_url(self.url).database
            self._file = sqlite3.connect(str(path), isolation_level=None, timeout=2)
            self._file.execute("PRAGMA synchronous = OFF")
        else:
            plain = make_url(self.url).set(drivername="postgresql")
            self._line = await asyncpg.connect(plain.render_as_string(hide_password=False))
            if self.schema:
                await self.execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
                await self.execute(f"SET search_path TO {self.schema}")
            await self.execute("SET timezone TO 'UTC'")
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    async def close(self) -> None:
        await self.dispose()
        if self.is_sqlite:
            self._file.close()
            return
        if self.schema:
            await self.execute(f"DROP SCHEMA {self.schema} CASCADE")
        await self._line.close()

    engine: AsyncEngine

    async def dispose(self) -> None:
        raise NotImplementedError

    async def read(self, statement: Any, values: Any) -> Any:
        raise NotImplementedError

    async def write(self, *steps: Any) -> Any:
        raise NotImplementedError

    def session(self, *, write: bool) -> Any:
        raise NotImplementedError

    async def session_read(self, session: Any, statement: Any, values: Any) -> Any:
        raise NotImplementedError

    async def session_write(self, session: Any, *steps: Any) -> Any:
        raise NotImplementedError

    def statement(self, number: int) -> Statement:
        """The statement of a number. The sides share none, nor anything that is noted on it."""
        if number not in self._statements:
            self._statements[number] = statements.build(number, for_sqlite=self.is_sqlite)
        return self._statements[number]

    async def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """What the observer's connection finds or changes, as the driver gives it."""
        if self.is_sqlite:
            return self._file.execute(sql).fetchall()
        return [tuple(row) for row in await self._line.fetch(sql)]

    async def reset(self) -> None:
        """The schema and the rows with which each case begins."""
        for number in sorted(self._gone):
            await self.alter(number)
        await self.execute("BEGIN")
        for table in reversed(TABLES):
            await self.execute(f"DELETE FROM {table.name}")
        for sql in _ROWS:
            await self.execute(sql)
        await self.execute("COMMIT")

    @property
    def is_altered(self) -> bool:
        """Whether statements may find no table or column, or one of another type."""
        return bool(self._gone)

    async def contents(self) -> dict[str, Any]:
        """All rows of all tables, as they are stored."""
        found: dict[str, Any] = {}
        for table in TABLES:
            name = "notes_away" if table.name == "notes" and 2 in self._gone else table.name
            rows = await self.execute(f"SELECT * FROM {name}")
            found[table.name] = sorted(rows, key=repr)
        return found

    async def open_transactions(self) -> int:
        """Transactions that nobody has ended, in a moment in which there should be none."""
        if not self.is_sqlite:
            [(number,)] = await self.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND state LIKE 'idle in transaction%'"
            )
            return int(number)
        try:
            await self.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return 1
        await self.execute("ROLLBACK")
        return 0

    async def alter(self, number: int) -> None:
        """Change the schema, or change it back."""
        is_gone = number in self._gone
        self._gone ^= {number} if number in {2, 3, 4} else set()
        self.altered += 1
        match number:
            case 0:
                sql = f"ALTER TABLE people ADD COLUMN extra_{self.altered} INTEGER"
            case 1:
                name = "ix_notes_person_id_id"
                await self.execute(f"DROP INDEX {name}")
                table = "notes_away" if 2 in self._gone else "notes"
                sql = f"CREATE INDEX {name} ON {table} (person_id, id)"
            case 2:
                before, after = ("notes_away", "notes") if is_gone else ("notes", "notes_away")
                sql = f"ALTER TABLE {before} RENAME TO {after}"
            case 3 if is_gone:
                sql = "ALTER TABLE things ADD COLUMN kind VARCHAR DEFAULT 'plain'"
            case 3:
                sql = "ALTER TABLE things DROP COLUMN kind"
            case _ if self.is_sqlite:
                sql = "ANALYZE"
            case _:
                kind = "BIGINT" if is_gone else "NUMERIC"
                sql = f"ALTER TABLE counters ALTER COLUMN total TYPE {kind}"
        await self.execute(sql)


class Subject(Side):
    """The project's database."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.database = DatabaseEngine(url, pool_size=5)
        self.engine = self.database.engine

    async def dispose(self) -> None:
        await self.database.dispose()

    async def read(self, statement: Any, values: Any) -> Any:
        return await self.database.read(statement, **values)

    async def write(self, *steps: Any) -> Any:
        if len(steps) == 1:
            return [await self.database.write(steps[0][0], **steps[0][1])]
        return await self.database.write_all(*steps)

    def session(self, *, write: bool) -> Any:
        return self.database.session(write=write)

    async def session_read(self, session: Any, statement: Any, values: Any) -> Any:
        return await session.read(statement, **values)

    async def session_write(self, session: Any, *steps: Any) -> Any:
        if len(steps) == 1:
            return [await session.write(steps[0][0], **steps[0][1])]
        return await session.write_all(*steps)


class Oracle(Side):
    """SQLAlchemy with its own dialects, as its documentation sets them up.

    On SQLite, `sqlite3` begins no transactions, so that SQLAlchemy does ("Serializable isolation /
    Savepoints / Transactional DDL"); those that may write take the write lock when they begin.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, "" if url.startswith("sqlite") else ORACLE_SCHEMA)
        driver = "sqlite+aiosqlite" if self.is_sqlite else "postgresql+asyncpg"
        options: dict[str, Any] = {}
        if not self.is_sqlite:
            # It would raise an error of its own when a statement is met after the schema changed.
            options["connect_args"] = {
                "server_settings": {"search_path": ORACLE_SCHEMA},
                "prepared_statement_cache_size": 0,
            }
        self.engine = create_async_engine(
            make_url(url).set(drivername=driver), hide_parameters=True, **options
        )
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _connected)
            event.listen(self.engine.sync_engine, "begin", _begun)
        self._writing = self.engine.execution_options(writes=True)

    async def dispose(self) -> None:
        await self.engine.dispose()

    async def read(self, statement: Any, values: Any) -> Any:
        async with self.session(write=False) as session:
            return await self.session_read(session, statement, values)

    async def write(self, *steps: Any) -> Any:
        async with self.session(write=True) as session:
            return await self.session_write(session, *steps)

    def session(self, *, write: bool) -> Any:
        return AsyncSession(self._writing if write else self.engine, expire_on_commit=False)

    async def session_read(self, session: Any, statement: Any, values: Any) -> Any:
        # Objects that the session has already are brought up to date.
        options = {"populate_existing": True}
        rows = (await session.execute(statement, values, execution_options=options)).all()
        return [columns(row) for row in rows]

    async def session_write(self, session: Any, *steps: Any) -> Any:
        try:
            changed = [_number(await session.execute(*step)) for step in steps]
            await session.commit()
        except BaseException:
            await session.rollback()
            raise
        return changed


def columns(row: Any) -> tuple[Any, ...]:
    """A row as a tuple, with the columns of an entity instead of it."""
    values = tuple(row) if isinstance(row, Row) else (row,)
    if isinstance(values[0], Person):
        return tuple(getattr(values[0], column.key) for column in Person.__table__.columns)
    return values


def _number(result: Any) -> int:
    # Without the types of the columns, which may be unable to return what a write has stored.
    # It has no cursor after an INSERT that did nothing: SQLAlchemy has looked for its key.
    return len(result.cursor.fetchall()) if result.cursor else result.rowcount


def _connected(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = OFF"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begun(connection: Any) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
