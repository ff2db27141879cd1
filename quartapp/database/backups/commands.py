"""`quart db backup` and `quart db restore`."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from quart import Quart
from quart.cli import ScriptInfo

from quartapp.database.backups import postgresql, sqlite
from quartapp.database.backups.files import (
    Backup,
    BackupError,
    Deadline,
    Revisions,
    dated,
    delete_old,
)
from quartapp.database.drivers.sqlite import database_file
from quartapp.database.engine import DatabaseEngine
from quartapp.database.extension import EXTENSION, Database
from quartapp.database.migrations.running import Migrations
from quartapp.database.revisions import quart_command

FOLDER = "backups"
"""The folder of backups, in the instance folder."""

_errors = click.option("--errors", is_flag=True, help="The database of errors, if it is separate.")
_timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=3600.0,
    show_default=True,
    help="Seconds after which it is stopped.",
)


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), help="Then delete all but so many backups.")
@click.option("--replace", is_flag=True, help="Replace FILE if it exists.")
@_errors
@_timeout
@click.pass_context
def backup(
    context: click.Context,
    file: Path | None,
    keep: int | None,
    replace: bool,
    errors: bool,
    timeout: float,
) -> None:
    """Back up the database while it is used.

    FILE may be a folder, by default "backups" in the instance folder; the name of the backup has
    the database and the time then. The backup is checked before it gets its name.
    """
    app = _app(context)
    engine = _engine(app, errors)
    stem, suffix = _names(engine)
    folder = file or Path(app.instance_path) / FOLDER
    target = folder
    if file is None or file.is_dir():
        target = folder / dated(stem, suffix, datetime.now(UTC))
    elif keep:
        raise click.UsageError("--keep counts backups in a folder: name a folder, not a file.")
    made = _made(engine, target, Deadline(timeout), replace)
    click.echo(f"{made.file}: {made.size:,} bytes, {_named(made.revisions)}, checked.")
    if keep:
        try:
            for old in delete_old(folder, stem, suffix, keep):
                click.echo(f"{old}: deleted.")
        except OSError as error:
            raise BackupError(f"Old backups were not deleted: {error.strerror}.") from error
    if not errors and (other := _errors_engine(app)) is not None and other is not engine:
        click.echo("Errors are in another database: 'db backup --errors' backs it up.", err=True)


def _made(engine: DatabaseEngine, target: Path, deadline: Deadline, replace: bool) -> Backup:
    if not engine.is_sqlite:
        return postgresql.back_up(engine.url, target, deadline, overwrite=replace)
    with click.progressbar(
        length=1, label="Copying", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:

        def progress(remaining: int, total: int) -> None:
            bar.length = total
            bar.update(total - remaining - bar.pos)

        return sqlite.back_up(_file(engine), target, deadline, progress, overwrite=replace)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace a database that exists.")
@click.option("-d", "--directory", help='The folder of the migrations (default is "migrations").')
@_errors
@_timeout
@click.pass_context
def restore(
    context: click.Context,
    file: Path,
    replace: bool,
    directory: str | None,
    errors: bool,
    timeout: float,
) -> None:
    """Restore the database from the backup FILE, while no server uses it.

    A file of SQLite that is replaced is kept under a dated name.
    """
    app = _app(context)
    engine = _engine(app, errors)
    is_migrated = engine is app.extensions.get("database")
    if not file.is_file():
        raise BackupError(f"{file} is no file.")
    known = _Known(file, Migrations(app, directory) if is_migrated else None, _tables(app, errors))
    deadline = Deadline(timeout)
    if engine.is_sqlite:
        database = _file(engine)
        revisions, kept = sqlite.restore(file, database, deadline, known.accept, replace=replace)
    else:
        revisions = postgresql.restore(file, engine.url, deadline, known.accept, replace=replace)
        kept = None
    click.echo(f"The database was restored from {file}, {_named(revisions)}.")
    if kept is not None:
        click.echo(f"What it replaced is {kept}.")
    if known.are_old(revisions):
        click.echo(f"This release has newer migrations: run '{quart_command(app)} db upgrade' now.")


class _Known:
    """The migrations and tables of this release; without migrations, every revision is accepted."""

    def __init__(self, file: Path, migrations: Migrations | None, tables: frozenset[str]) -> None:
        self._file = file
        self._migrations = migrations
        self._tables = tables

    def accept(self, revisions: Revisions, tables: frozenset[str]) -> None:
        """Raises BackupError for a revision that this release does not have, and for the backup
        of another database."""
        if not tables:
            raise BackupError(f"{self._file} has no tables, so it is no backup.")
        is_marked = self._migrations is not None and revisions
        if not is_marked and self._tables and self._tables.isdisjoint(tables):
            raise BackupError(
                f"{self._file} is the backup of another database: it has none of the tables that"
                " belong here."
            )
        if self._migrations is None:
            return
        for revision in revisions:
            try:
                self._scripts().get_revision(revision)
            except CommandError as error:
                raise BackupError(
                    f"{self._file} has the revision {revision!r}, which is not among the"
                    " migrations of this release: restore it with the release that made it, or"
                    " with a newer one."
                ) from error

    def are_old(self, revisions: Revisions) -> bool:
        if self._migrations is None or not revisions:
            return False
        return set(revisions) != set(self._scripts().get_heads())

    def _scripts(self) -> ScriptDirectory:
        assert self._migrations is not None
        return ScriptDirectory.from_config(self._migrations.config())


def _app(context: click.Context) -> Quart:
    app: Quart = context.ensure_object(ScriptInfo).load_app()
    return app


def _engine(app: Quart, errors: bool) -> DatabaseEngine:
    engine: DatabaseEngine | None
    engine = _errors_engine(app) if errors else app.extensions.get("database")
    if engine is None:
        what = "database of errors" if errors else "Database"
        raise BackupError(f"The application {app.name!r} has no {what}.")
    return engine


def _errors_engine(app: Quart) -> DatabaseEngine | None:
    engine: DatabaseEngine | None = getattr(app.extensions.get("reporting"), "database", None)
    return engine


def _tables(app: Quart, errors: bool) -> frozenset[str]:
    """The names of tables that such a database has; none if they are not known."""
    if errors:
        return frozenset({"error_groups"})
    extension: Database | None = app.extensions.get(EXTENSION)
    tables = extension.metadata.tables.values() if extension is not None else ()
    return frozenset(table.name for table in tables)


def _names(engine: DatabaseEngine) -> tuple[str, str]:
    """How the names of backups begin and end."""
    if engine.is_sqlite:
        return _file(engine).stem, sqlite.SUFFIX
    return engine.url.database or "database", postgresql.SUFFIX


def _file(engine: DatabaseEngine) -> Path:
    file = database_file(engine.url)
    if file is None:
        raise BackupError("The database is in memory: there is no file to back up or to replace.")
    return file


def _named(revisions: Revisions) -> str:
    return f"revision {', '.join(revisions)}" if revisions else "without a revision"
