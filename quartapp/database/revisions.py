"""Whether the tables are those of this version of the application, without importing Alembic.

A server asks at its start and in its health check, and Alembic takes longer to import than the
application does. So the files of the migrations are read, and not executed.
"""

import ast
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quart import Quart
from sqlalchemy import MetaData, inspect, text
from sqlalchemy.engine import Connection

from quartapp.database.engine import DatabaseEngine

FOLDER = "migrations"

INCOMPATIBLE = "_incompatible"
"""The end of the name of a revision with whose tables the version before it cannot work."""

_STATE = "database.revisions"

_ASSIGNED = re.compile(r"^(revision|down_revision)\b[^=\n]*= *(.+(?:\n[ )].*)*)", re.MULTILINE)

_logger = logging.getLogger(__name__)


class OutdatedTablesError(RuntimeError):
    """The tables are not those of this version; the text is a sentence that says what to run."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions that the files of an application define."""

    known: frozenset[str]
    heads: frozenset[str]

    def fault_of(self, found: frozenset[str], command: str) -> str:
        """Why this version cannot work with tables at the revisions `found`; "" if it can.

        It works with later ones, which it does not know, so that a database can be migrated before
        the servers are replaced, unless the name of one ends with "_incompatible".
        """
        at = f"The database is at revision {', '.join(sorted(found)) or 'base'}"
        later = found - self.known
        if any(name.endswith(INCOMPATIBLE) for name in later):
            return f"{at}, which needs a later version of the server."
        if later or found == self.heads:
            return ""
        return f"{at}, which is older than this version: run '{command} db upgrade' first."


async def tables_fault(app: Quart, metadata: MetaData) -> str:
    """Why the application cannot work with the tables of its database, as a sentence; "" if it can.

    Nothing is known of tables that were made without migrations, and of an application without
    them. Raises what the database raises.
    """
    revisions = _revisions(app)
    if not revisions.heads:
        return ""
    database: DatabaseEngine = app.extensions["database"]
    async with database.engine.connect() as connection:
        found = await connection.run_sync(_found)
    if found is not None:
        return revisions.fault_of(found, quart_command(app))
    async with database.engine.connect() as connection:
        has_tables = await connection.run_sync(_has_any, metadata)
    return (
        "" if has_tables else f"The database has no tables: run '{quart_command(app)} db upgrade'."
    )


async def refuse_outdated_tables(app: Quart, metadata: MetaData) -> None:
    """Raise OutdatedTablesError if the tables are not those of this version.

    An empty database is only logged: a test may create the tables after the start.
    """
    fault = await tables_fault(app, metadata)
    if fault.startswith("The database is at"):
        raise OutdatedTablesError(fault)
    if fault:
        _logger.warning(fault)


def quart_command(app: Quart) -> str:
    """The beginning of commands for the application."""
    return f"quart --app {app.import_name}"


def folder_of(app: Quart, directory: str | None = None) -> Path:
    """The folder of an application's migrations, which may be missing.

    `directory` is relative to the working directory. Without it, a folder `migrations` is looked
    for there, in the application's folder, and next to that.
    """
    here = Path.cwd() / (directory or FOLDER)
    if directory is None:
        root = Path(app.root_path)
        for folder in (here, root / FOLDER, root.parent / FOLDER):
            if (folder / "env.py").is_file():
                return folder
    return Path(os.path.normpath(here))


def read_revisions(folder: Path) -> Revisions:
    """The revisions of the files in `folder`/versions; none if one of them cannot be understood."""
    known: set[str] = set()
    followed: set[str] = set()
    for path in folder.glob("versions/*.py"):
        try:
            values = {
                name: ast.literal_eval(value.strip())
                for name, value in _ASSIGNED.findall(path.read_text("utf-8"))
            }
        except (OSError, ValueError, SyntaxError):
            return Revisions(frozenset(), frozenset())
        if "revision" in values:
            known.add(values["revision"])
            before = values.get("down_revision") or ()
            followed.update([before] if isinstance(before, str) else before)
    return Revisions(frozenset(known), frozenset(known - followed))


def _revisions(app: Quart) -> Revisions:
    if _STATE not in app.extensions:
        app.extensions[_STATE] = read_revisions(folder_of(app))
    found: Revisions = app.extensions[_STATE]
    return found


def _found(connection: Connection) -> frozenset[str] | None:
    """The revisions that the database has; None if it was not migrated with Alembic."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    rows: Any = connection.execute(text("SELECT version_num FROM alembic_version"))
    return frozenset(rows.scalars())


def _has_any(connection: Connection, metadata: MetaData) -> bool:
    names = set(inspect(connection).get_table_names())
    return bool(names & {table.name for table in metadata.tables.values()})
