"""No statement of the models reads a table without an index, on SQLite and PostgreSQL.

Those that no index helps would take longer with each row, and some of them, as `count(*)` of a
table, SQLite cannot interrupt.
"""

import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import Delete, Select, Update, select
from sqlalchemy.ext.asyncio import AsyncConnection

from quartapp.database import DatabaseEngine
from quartapp.database.types import UTCDateTime
from quartapp.flasklike import App
from quartapp.microblog import models
from quartapp.microblog.models import Post, User
from quartapp.microblog.models.paging import Pages

PARTS = {"PROFILES", "_POSTS", "_ROWS", "_ACCOUNTS", "_END"}
"""Other statements are made of these, which are never executed."""

READ_UNTIL_FULL = {"people._ALL", "post._ALL"}
"""Lists of everything, which are read in the order of the key until the page is full."""


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


def statements() -> Iterator[tuple[str, Any]]:
    """The statements of the models by their names."""
    for info in pkgutil.iter_modules(models.__path__):
        module = import_module(f"{models.__name__}.{info.name}")
        for name, value in vars(module).items():
            if isinstance(value, Pages):
                for way, statement in vars(value).items():
                    yield f"{info.name}.{name}.{way}", statement
            elif isinstance(value, Select | Update | Delete) and name not in PARTS:
                yield f"{info.name}.{name}", value


def value_of(kind: Any, is_sqlite: bool) -> Any:
    if isinstance(kind, UTCDateTime):
        return "2026-01-01" if is_sqlite else datetime(2026, 1, 1, tzinfo=UTC)
    return {int: 1, str: "x", bool: True}[kind.python_type]


async def scans_of(connection: AsyncConnection, statement: Any) -> list[str]:
    """The steps of the plan that read a table from its beginning to its end."""
    is_sqlite = connection.dialect.name == "sqlite"
    # A column to set, because some set those of their values.
    is_of_users = isinstance(statement, Update) and statement.table is User.__table__
    keys = ["about_me"] if is_of_users else None
    compiled = statement.compile(dialect=connection.dialect, column_keys=keys)
    values = [value_of(compiled.binds[name].type, is_sqlite) for name in compiled.positiontup]
    how = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
    rows = (await connection.exec_driver_sql(f"{how} {compiled}", tuple(values))).all()
    plan = [row.detail if is_sqlite else row[0].strip() for row in rows]
    found = [step for step in plan if step.startswith("SCAN ") or "Seq Scan" in step]
    return [step for step in found if "CONSTANT ROW" not in step]


async def test_no_statement_reads_a_table_without_an_index(app: App) -> None:
    database: DatabaseEngine = app.extensions["database"]
    found: dict[str, list[str]] = {}
    async with database.engine.connect() as connection:
        if not database.is_sqlite:  # an empty table is read as a whole if it may be
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for name, statement in statements():
            if scans := await scans_of(connection, statement):
                found[name] = scans
        without_index = select(Post.id).where(Post.body == "x")
        assert len(await scans_of(connection, without_index)) == 1
    assert {name.rpartition(".")[0] for name in found} <= READ_UNTIL_FULL, found
    assert {name.rpartition(".")[2] for name in found} <= {"_first", "_numbered"}, found


def test_the_statements_are_found() -> None:
    names = {name for name, _ in statements()}
    assert {"user._PROFILE_BY_NAME", "login._PERSON", "post._TIMELINE._first"} < names
    assert len(names) > 50
