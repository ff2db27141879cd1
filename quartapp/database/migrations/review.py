"""What migrations do to tables that are in use, read from the SQL that Alembic prints for them.

The SQL is PostgreSQL's, whatever the database is: there each operation is one statement. What a
migration does with rows that it reads is not in it.
"""

import re
from collections.abc import Iterator
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from quart import Quart
from sqlalchemy import text

from quartapp.database.migrations.running import Migrations
from quartapp.database.revisions import INCOMPATIBLE

CONTRACT = "contract"
"""The value of `phase` in the file of a migration that a later release runs (see `lint`)."""

_NAME = r'(?P<table>[\w."]+)'
_COLUMN = r'(?:IF (?:NOT )?EXISTS )?(?P<column>[\w"]+)'
_CREATED = re.compile(rf"CREATE TABLE (?:IF NOT EXISTS )?{_NAME}")
_DROPPED = re.compile(
    rf"DROP TABLE (?:IF EXISTS )?{_NAME}|ALTER TABLE (?P<of>[\w.\"]+) DROP COLUMN {_COLUMN}"
)
_STEP = re.compile(r"^-- Running \w+ \S* *-> *(\S*).*$", re.MULTILINE)
_VERSION = "alembic_version"

_RULES = [
    (rf"DROP TABLE (?:IF EXISTS )?{_NAME}", "drops the table {table}"),
    (rf"ALTER TABLE {_NAME} DROP COLUMN {_COLUMN}", "drops the column {table}.{column}"),
    (rf"ALTER TABLE {_NAME} DROP CONSTRAINT", "drops a constraint of {table}"),
    (r"DROP INDEX .*?(?P<table>\w+)$", "drops the index {table}"),
    (rf"ALTER TABLE {_NAME} RENAME", "renames {table}, or a column of it"),
    (
        rf"ALTER TABLE {_NAME} ALTER COLUMN {_COLUMN} (?:SET NOT NULL|TYPE)",
        "alters the column {table}.{column}",
    ),
    (
        rf"ALTER TABLE {_NAME} ADD COLUMN {_COLUMN} (?!.*\bDEFAULT\b).*NOT NULL",
        "adds the column {table}.{column}, NOT NULL and without a server_default",
    ),
    (
        rf"ALTER TABLE {_NAME} ADD (?:CONSTRAINT|CHECK|UNIQUE|FOREIGN)(?!.*NOT VALID)",
        "adds a constraint to {table}",
    ),
    (
        rf"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*? ON {_NAME}",
        "adds an index to {table} without postgresql_concurrently=True",
    ),
    (rf"UPDATE {_NAME}", "updates rows of {table} in one statement"),
    (rf"(?:DELETE FROM|TRUNCATE(?: TABLE)?) {_NAME}", "deletes rows of {table}"),
]


def lint(app: Quart, revisions: str = "base:head", *, directory: str | None = None) -> list[str]:
    """What migrations of the range do that another version, which serves meanwhile, cannot bear.

    A sentence for each. A table that the same migration creates is nobody else's. Migrations with
    `phase = "contract"` in their file, and revisions that end with "_incompatible", may do
    everything: what they drop is used by no version that still serves. Raises MigrationError.
    """
    migrations = Migrations(app, directory)
    scripts = ScriptDirectory.from_config(migrations.config())
    faults = []
    for revision, sql in _steps(migrations, revisions):
        module = scripts.get_revision(revision).module
        is_contract = getattr(module, "phase", "") == CONTRACT
        if not is_contract and not revision.endswith(INCOMPATIBLE):
            faults += [f"{revision} {fault}." for fault in _faults(sql)]
    return faults


async def losses(migrations: Migrations, revision: str) -> list[str]:
    """What a downgrade to `revision` drops, with the number of values that are lost.

    Tables and columns without any are left out. Raises MigrationError, and what a migration raises
    that reads rows.
    """
    heads = await migrations.run(_heads)
    sql = migrations.sql(command.downgrade, f"{heads}:{revision}")
    drops: list[tuple[str, str | None]]
    drops = [(match["table"] or match["of"], match["column"]) for match in _DROPPED.finditer(sql)]
    gone = {table for table, column in drops if column is None} | {_VERSION}
    found = []
    async with migrations.database.engine.connect() as connection:
        for table, column in drops:
            if table == _VERSION or (column is not None and table in gone):
                continue
            where = f" WHERE {column} IS NOT NULL" if column else ""
            count = await connection.scalar(text(f"SELECT count(*) FROM {table}{where}"))
            if count:
                named = f"the column {table}.{column}" if column else f"the table {table}"
                found.append(f"{named} ({count} {'values' if column else 'rows'})")
    await migrations.database.dispose()
    return found


def _heads(config: Config) -> str:
    """The revision of the database, as `alembic.command` functions are called."""
    found: list[str] = []

    def note(heads: Any, _context: Any) -> list[Any]:
        found.extend(heads if isinstance(heads, tuple) else [heads])
        return []

    script = ScriptDirectory.from_config(config)
    with EnvironmentContext(config, script, fn=note, dont_mutate=True):
        script.run_env()
    return ",".join(found) or "base"


def _faults(sql: str) -> Iterator[str]:
    own = {match["table"] for match in _CREATED.finditer(sql)} | {_VERSION}
    for statement in sql.split(";"):
        lines = [line for line in statement.split("\n") if not line.startswith("--")]
        words = " ".join(" ".join(lines).split())
        for pattern, what in _RULES:
            found = re.match(pattern, words, re.IGNORECASE)
            if found and found["table"] not in own:
                yield what.format(**found.groupdict())


def _steps(migrations: Migrations, revisions: str) -> Iterator[tuple[str, str]]:
    """Each revision of a range, with its SQL."""
    _, *parts = _STEP.split(migrations.sql(command.upgrade, revisions))
    yield from zip(parts[::2], parts[1::2], strict=True)
