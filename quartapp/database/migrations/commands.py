"""`quart db`: the commands of Flask-Migrate, with its options, on the application's `Database`."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile
from typing import Any, TypeVar

import click
from alembic import command
from quart import Quart
from quart.cli import ScriptInfo

from quartapp.database.backups.commands import backup, restore
from quartapp.database.migrations import review
from quartapp.database.migrations.running import MigrationError, Migrations

TEMPLATE = Path(__file__).with_name("template")

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def db() -> None:
    """Perform database migrations, and back up and restore the database."""


db.add_command(backup)
db.add_command(restore)


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_directory = click.option(
    "-d", "--directory", help='The folder of the migrations (default is "migrations").'
)
_message = click.option("-m", "--message", help="What the revision changes.")
_sql = click.option("--sql", is_flag=True, help="Print the SQL instead of executing it.")
_tag = click.option("--tag", help="A text for env.py.")
_x_arg = click.option("-x", "--x-arg", multiple=True, help="An argument for env.py.")
_verbose = click.option("-v", "--verbose", is_flag=True, help="Print more.")
_branch = click.option("--branch-label", help="A label for the revision's branch.")
_rev_id = click.option("--rev-id", help="The identifier, instead of a generated one.")
_new_revision = _options(
    _directory,
    _message,
    _sql,
    click.option("--head", default="head", help="The revision that the new one follows."),
    click.option("--splice", is_flag=True, help="Follow a revision that is no head."),
    _branch,
    click.option("--version-path", help="The folder of the new file."),
    _rev_id,
    _x_arg,
)


@db.command()
@_directory
@click.option("--package", is_flag=True, help="Write an __init__.py into each folder.")
@click.pass_context
def init(context: click.Context, directory: str | None, package: bool) -> None:
    """Make the folder of the migrations."""
    app = _app(context)
    folder = Path.cwd() / (directory or "migrations")
    migrations = Migrations(app, str(folder))
    if folder.exists() and any(folder.iterdir()):
        raise MigrationError(f"The folder {folder} is not empty.")
    try:
        (folder / "versions").mkdir(parents=True)
        for name in ("alembic.ini", "script.py.mako"):
            copyfile(TEMPLATE / name, folder / name)
        (folder / "env.py").write_text(_environment(migrations), "utf-8")
        for each in (folder, folder / "versions") if package else ():
            (each / "__init__.py").touch()
    except OSError as error:
        raise MigrationError(f"The folder {folder} cannot be written: {error.strerror}.") from error
    click.echo(f"The folder {folder} is made. Look at env.py, then run 'db migrate'.")


def _environment(migrations: Migrations) -> str:
    """env.py, which knows the tables of errors if they are in the same database."""
    reporting = migrations.app.extensions.get("reporting")
    text = (TEMPLATE / "env.py.txt").read_text("utf-8")
    if reporting is None or getattr(reporting, "database", None) is not migrations.database:
        return text
    errors = "from quartapp.reporting import Reporting\n"
    return text.replace("\n\nenvironment.run()", f"\n{errors}\nenvironment.run(Reporting.metadata)")


@db.command()
@_new_revision
@click.option("--autogenerate", is_flag=True, help="Compare the models with the database.")
@click.pass_context
def revision(context: click.Context, /, **options: Any) -> None:
    """Make an empty migration."""
    _revise(context, **options)


@db.command()
@_new_revision
@click.pass_context
def migrate(context: click.Context, /, **options: Any) -> None:
    """Make a migration of the differences between models and database."""
    _revise(context, autogenerate=True, **options)


def _revise(
    context: click.Context, directory: str | None, x_arg: tuple[str, ...], **options: Any
) -> None:
    def skip_if_empty(_context: Any, _revision: Any, scripts: list[Any]) -> None:
        if scripts[0].upgrade_ops.is_empty():
            scripts.clear()
            click.echo("The models and the database have the same tables.")

    migrations = _migrations(context, directory, x_arg)
    if options["autogenerate"]:
        options["process_revision_directives"] = skip_if_empty
        asyncio.run(migrations.run(command.revision, **options))
    else:
        migrations.run_offline(command.revision, **options)


@db.command()
@_options(_directory, _message, _branch, _rev_id)
@click.argument("revisions", nargs=-1)
@click.pass_context
def merge(
    context: click.Context, /, directory: str | None, revisions: tuple[str, ...], **options: Any
) -> None:
    """Merge several heads into one."""
    given = revisions or ("heads",)
    _migrations(context, directory).run_offline(command.merge, given, **options)


def _moving(name: str, default: str, help: str, *more: Callable[[Any], Any]) -> None:
    function = getattr(command, name)

    @_options(_directory, _sql, _tag, _x_arg, *more)
    @click.argument("revision", default=default)
    @click.pass_context
    def move(
        context: click.Context,
        directory: str | None,
        revision: str,
        x_arg: tuple[str, ...],
        sql: bool,
        tag: str | None,
        yes: bool = True,
    ) -> None:
        migrations = _migrations(context, directory, x_arg)
        if sql:
            if name == "downgrade" and revision.startswith("-"):
                raise MigrationError("With --sql, name the range: FROM:TO.")
            migrations.run_offline(function, revision, sql=True, tag=tag)
        else:
            if not yes:
                _confirm_losses(migrations, revision)
            asyncio.run(migrations.run(function, revision, tag=tag))

    # So that '-1' is a revision.
    settings = {"ignore_unknown_options": True}
    db.command(name, help=help, context_settings=settings)(move)


_moving("upgrade", "head", "Run the migrations up to a revision, by default the newest.")
_moving(
    "downgrade",
    "-1",
    "Undo migrations down to a revision, by default one. Asks before data is lost.",
    click.option("-y", "--yes", is_flag=True, help="Do not ask before data is lost."),
)
_moving("stamp", "head", "Note a revision in the database without running migrations.")


def _confirm_losses(migrations: Migrations, revision: str) -> None:
    """Ask before a downgrade drops something with data in it. Raises MigrationError or Abort."""
    try:
        found = asyncio.run(review.losses(migrations, revision))
    except MigrationError:
        raise
    except Exception:  # noqa: BLE001 a migration may fail in any way where it cannot read rows
        found = ["what its migrations delete, which cannot be listed: they read the database"]
    if not found:
        return
    click.echo("This deletes:", err=True)
    for each in found:
        click.echo(f"  {each}", err=True)
    try:
        click.confirm("Undo the migrations?", abort=True, err=True)
    except click.Abort:
        raise MigrationError("Nothing was changed; --yes answers the question.") from None


@db.command()
@_directory
@click.argument("revisions", default="base:head")
@click.pass_context
def lint(context: click.Context, directory: str | None, revisions: str) -> None:
    """Exit with 1 if migrations (START:END) do what another version cannot bear that serves."""
    if faults := review.lint(_app(context), revisions, directory=directory):
        raise MigrationError("\n".join(["Versions side by side cannot share this:", *faults]))


@db.command()
@_options(_directory, _verbose)
@click.pass_context
def current(context: click.Context, directory: str | None, verbose: bool) -> None:
    """Print the revision of the database."""
    asyncio.run(_migrations(context, directory).run(command.current, verbose=verbose))


@db.command()
@_directory
@click.pass_context
def check(context: click.Context, directory: str | None) -> None:
    """Exit with 1 if the models and the database differ."""
    asyncio.run(_migrations(context, directory).run(command.check))


@db.command()
@_options(_directory, _verbose)
@click.option("-r", "--rev-range", help="The revisions START:END.")
@click.option("-i", "--indicate-current", is_flag=True, help="Mark that of the database.")
@click.pass_context
def history(
    context: click.Context, /, directory: str | None, indicate_current: bool, **options: Any
) -> None:
    """List the migrations, the newest first."""
    migrations = _migrations(context, directory)
    if indicate_current or "current" in (options["rev_range"] or ""):
        options["indicate_current"] = indicate_current
        asyncio.run(migrations.run(command.history, **options))
    else:
        migrations.run_offline(command.history, **options)


@db.command()
@_options(_directory, _verbose)
@click.option("--resolve-dependencies", is_flag=True, help="Treat dependencies as revisions.")
@click.pass_context
def heads(context: click.Context, /, directory: str | None, **options: Any) -> None:
    """List the newest migrations."""
    _migrations(context, directory).run_offline(command.heads, **options)


@db.command()
@_options(_directory, _verbose)
@click.pass_context
def branches(context: click.Context, /, directory: str | None, **options: Any) -> None:
    """List the migrations that several others follow."""
    _migrations(context, directory).run_offline(command.branches, **options)


def _one(name: str, help: str) -> None:
    function = getattr(command, name)

    @_directory
    @click.argument("revision", default="head")
    @click.pass_context
    def show_one(context: click.Context, directory: str | None, revision: str) -> None:
        migrations = _migrations(context, directory)
        if revision == "current":
            asyncio.run(migrations.run(function, revision))
        else:
            migrations.run_offline(function, revision)

    db.command(name, help=help)(show_one)


_one("show", "Print a migration.")
_one("edit", "Open a migration in the editor ($EDITOR).")


def _app(context: click.Context) -> Quart:
    app: Quart = context.ensure_object(ScriptInfo).load_app()
    return app


def _migrations(
    context: click.Context, directory: str | None, arguments: tuple[str, ...] = ()
) -> Migrations:
    return Migrations(_app(context), directory, arguments=arguments, on_version_apply=_note)


def _note(step: Any, **_more: Any) -> None:
    """Print a step that was taken, to standard error: --sql prints to standard output."""
    kind = "Stamp" if step.is_stamp else "Upgrade" if step.is_upgrade else "Downgrade"
    before, after = (
        ", ".join(ids) or "base"
        for ids in (step.source_revision_ids, step.destination_revision_ids)
    )
    revision = step.up_revision
    what = f": {revision.doc}" if revision is not None and not step.is_stamp else ""
    click.echo(f"{kind} from {before} to {after}{what}", err=True)
