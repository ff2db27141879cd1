"""The tables in a database of reporting itself: made once, upgraded, and left alone if newer.

`schemas/VERSION.DIALECT.sql` is what a release with that version of the tables made. A change of
the tables needs the next version, its step in `quartapp.reporting.schema`, and its files here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from quartapp.database import DatabaseEngine
from quartapp.reporting import schema
from quartapp.reporting.exceptions import NewerSchemaError
from quartapp.reporting.schema import VERSION, prepare
from quartapp.reporting.tables import metadata

SCHEMAS = Path(__file__).parent / "schemas"
VERSIONS = range(1, VERSION + 1)


@pytest.fixture
async def empty(each_database_url: str) -> AsyncIterator[DatabaseEngine]:
    made = DatabaseEngine(each_database_url)
    yield made
    await made.dispose()


async def make_version(database: DatabaseEngine, version: int) -> None:
    dialect = database.engine.dialect.name
    script = (SCHEMAS / f"{version}.{dialect}.sql").read_text("utf-8")
    async with database.begin() as session:
        for statement in filter(str.strip, script.split(";\n")):
            await session.execute(text(statement))


async def structure(database: DatabaseEngine) -> dict[str, Any]:
    """All that differs between two versions of the tables."""

    def index(one: Any) -> str:
        condition = one["dialect_options"].pop(f"{database.engine.dialect.name}_where", "")
        return f"{one} {condition}"

    def look(connection: Connection) -> dict[str, Any]:
        found = inspect(connection)
        return {
            table: (
                [(one["name"], str(one["type"]), one["nullable"]) for one in columns(table)],
                found.get_pk_constraint(table)["constrained_columns"],
                sorted(map(index, found.get_indexes(table))),
                sorted(str(one) for one in found.get_unique_constraints(table)),
                sorted(str(one) for one in found.get_foreign_keys(table)),
            )
            for table in sorted(found.get_table_names())
            for columns in (found.get_columns,)
        }

    async with database.engine.connect() as connection:
        return await connection.run_sync(look)


async def version_of(database: DatabaseEngine) -> int:
    async with database.session(write=False) as session:
        return int((await session.execute(text("SELECT version FROM error_schema"))).scalar_one())


async def test_several_processes_make_the_tables_once(each_database_url: str) -> None:
    workers = [DatabaseEngine(each_database_url, pool_size=1) for _ in range(4)]
    await asyncio.gather(*(prepare(worker) for worker in workers))
    assert await version_of(workers[0]) == VERSION
    for worker in workers:
        await worker.dispose()


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_older_version_becomes_the_present_one(
    version: int, empty: DatabaseEngine, tmp_path: Path
) -> None:
    await make_version(empty, version)
    await prepare(empty)
    upgraded = await structure(empty)
    async with empty.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.execute(text("DROP TABLE error_schema"))
    await prepare(empty)
    assert upgraded == await structure(empty)
    assert await version_of(empty) == VERSION


def executing(statement: str) -> Callable[[Any], None]:
    """A step of one statement."""

    def step(op: Any) -> None:
        op.execute(statement)

    return step


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release with two further versions of the tables."""

    def add_notes(op: Any) -> None:
        op.execute("UPDATE error_groups SET note = title")
        op.execute("CREATE TABLE error_notes (id INTEGER)")

    steps = {
        VERSION: executing("ALTER TABLE error_groups ADD COLUMN note VARCHAR(80)"),
        VERSION + 1: add_notes,
    }
    monkeypatch.setattr(schema, "STEPS", steps)
    monkeypatch.setattr(schema, "VERSION", VERSION + 2)


@pytest.mark.usefixtures("later")
async def test_every_step_is_taken_once(empty: DatabaseEngine) -> None:
    await make_version(empty, VERSION)
    for _ in range(2):
        await prepare(empty)
        assert await version_of(empty) == VERSION + 2
    found = await structure(empty)
    assert "error_notes" in found
    assert "note" in str(found["error_groups"])


@pytest.mark.usefixtures("later")
async def test_a_step_that_fails_changes_nothing(
    empty: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_version(empty, VERSION)
    before = await structure(empty)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "STEPS", {**schema.STEPS, VERSION + 1: executing("SELECT nonsense")})
        with pytest.raises(DBAPIError):
            await prepare(empty)
    assert await structure(empty) == before
    assert await version_of(empty) == VERSION
    await prepare(empty)
    assert await version_of(empty) == VERSION + 2


async def test_a_newer_version_is_left_alone(empty: DatabaseEngine) -> None:
    await make_version(empty, VERSION)
    async with empty.begin() as session:
        await session.execute(text(f"UPDATE error_schema SET version = {VERSION + 1}"))
        await session.execute(text("DROP TABLE error_samples"))  # a later release may do so
    before = await structure(empty)
    with pytest.raises(NewerSchemaError, match=f"has version {VERSION + 1} .* knows {VERSION}"):
        await prepare(empty)
    assert await structure(empty) == before


async def test_tables_of_an_alembic_history_are_left_to_it(empty: DatabaseEngine) -> None:
    async with empty.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(text("DROP TABLE error_samples"))  # its next migration makes it
    before = await structure(empty)
    await prepare(empty)
    assert await structure(empty) == before
