"""`quart db` on an application of somebody else, on both engines."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result
from quart import Quart
from quart.cli import ScriptInfo
from sqlalchemy import ForeignKey, String, inspect, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp.database import Database
from quartapp.database.migrations import MigrationError, downgrade, upgrade
from quartapp.database.migrations.commands import db as commands

Run: TypeAlias = Callable[..., Result]


def make_app(url: str, folder: Path, *, grown: bool = False) -> Quart:
    """A shop; when it is `grown`, its models are those of the next version."""

    class Base(DeclarativeBase):
        pass

    db = Database(model_class=Base)

    class Customer(db.Model):  # type: ignore[name-defined, misc]  # made here
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(80 if grown else 40))
        if grown:
            city: Mapped[str] = mapped_column(server_default="")

    class Order(db.Model):  # type: ignore[name-defined, misc]  # made here
        id: Mapped[int] = mapped_column(primary_key=True)
        customer_id: Mapped[int] = mapped_column(
            ForeignKey(Customer.id, ondelete="CASCADE", name="fk_order_customer")
        )

    app = Quart("shop", root_path=str(folder), instance_path=str(folder / "instance"))
    app.config["DATABASE_URL"] = url
    db.init_app(app)
    return app


@pytest.fixture
def run(each_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("upgrade")` runs `quart db upgrade` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    logging.getLogger("theirs").disabled = False

    def invoke(*arguments: str, code: int = 0, app: Quart | None = None, **made: Any) -> Result:
        app = app or make_app(made.pop("url", each_database_url), tmp_path, **made)
        script = ScriptInfo(create_app=lambda *_: app)
        result = CliRunner().invoke(commands, arguments, obj=script)
        assert result.exit_code == code, (result.output, result.exception)
        assert not code or isinstance(result.exception, SystemExit), "a traceback"
        return result

    return invoke


def in_database(app: Quart, work: Callable[[Any], Any]) -> Any:
    async def go() -> Any:
        database = app.extensions["database"]
        async with database.connect() as connection:
            found = await connection.run_sync(work)
            await connection.commit()
        await database.dispose()
        return found

    return asyncio.run(go())


def columns(connection: Any) -> set[str]:
    return {column["name"] for column in inspect(connection).get_columns("customer")}


@pytest.mark.slow
def test_from_nothing_to_the_second_version(run: Run, each_database_url: str) -> None:
    run("init")
    assert sorted(os.listdir("migrations")) == [
        "alembic.ini",
        "env.py",
        "script.py.mako",
        "versions",
    ]
    run("migrate", "-m", "First tables", "--rev-id", "one")
    assert "Upgrade from base to one: First tables" in run("upgrade").output
    assert run("current").output == "one (head)\n"
    run("check")
    assert "same tables" in run("migrate").output
    assert len(list(Path("migrations/versions").glob("*.py"))) == 1

    app = make_app(each_database_url, Path.cwd())
    statements = (
        "INSERT INTO customer VALUES (1, 'susan')",
        'INSERT INTO "order" VALUES (1, 1)',
    )
    in_database(app, lambda connection: [connection.execute(text(each)) for each in statements])
    differences = run("check", grown=True, code=1).output
    assert "add column" in differences
    assert "modify type" in differences, "types are compared"
    run("migrate", "-m", "Cities", "--rev-id", "two", grown=True)
    run("upgrade", grown=True)
    run("check", grown=True)
    assert "city" in in_database(app, columns)
    count = 'SELECT count(*) FROM "order"'
    assert in_database(app, lambda connection: connection.execute(text(count)).scalar()) == 1
    assert "Downgrade from two to one" in run("downgrade", "-1", "--yes").output
    assert in_database(app, columns) == {"id", "name"}
    assert run("history", "-i").output.count("(current)") == 1
    assert "Rev: one" in run("show", "current").output
    assert "CREATE TABLE customer" in run("upgrade", "one", "--sql").output
    assert "Stamp from one to two" in run("stamp", "two").output
    assert not logging.getLogger("theirs").disabled


@pytest.mark.slow
def test_what_cannot_be_done_is_one_sentence(run: Run, tmp_path: Path) -> None:
    assert "begin with 'quart --app shop db init'" in run("upgrade", code=1).output
    assert "has no Database" in run("upgrade", app=Quart("bare"), code=1).output
    run("init")
    assert "is not empty" in run("init", code=1).output
    run("revision", "--rev-id", "one")
    assert "run 'quart --app shop db upgrade' first" in run("migrate", code=1).output
    run("revision", "--rev-id", "two", "--head", "one")
    run("revision", "--rev-id", "three", "--head", "one", "--splice")
    assert "db merge heads" in run("upgrade", code=1).output
    run("merge", "--rev-id", "four")
    run("upgrade")
    for path in Path("migrations/versions").glob("four*.py"):
        path.unlink()
    assert "'four' is not among the migrations" in run("current", code=1).output
    assert "newer version" in run("upgrade", "heads", code=1).output
    away = "postgresql://nobody@127.0.0.1:1/nothing"
    assert "does not answer" in run("upgrade", "heads", url=away, code=1).output
    assert "There are no migrations in" in run("heads", "-d", "elsewhere", code=1).output


def test_functions_for_tests_and_scripts(run: Run, each_database_url: str, tmp_path: Path) -> None:
    run("init")
    run("migrate", "--rev-id", "one")
    asyncio.run(upgrade(make_app(each_database_url, tmp_path)))
    app = make_app(each_database_url, tmp_path)

    async def while_it_serves() -> None:
        async with app.test_app():
            await downgrade(app, "base")
            await upgrade(app)
            await upgrade(app)
            async with app.extensions["database"].begin() as session:
                await session.execute(text("INSERT INTO customer VALUES (1, 'susan')"))

    asyncio.run(while_it_serves())
    with pytest.raises(MigrationError, match="not among the migrations"):
        asyncio.run(upgrade(app, "unknown"))


def test_a_database_in_memory_is_migrated(run: Run, tmp_path: Path) -> None:
    run("init")
    run("revision", "--rev-id", "one")
    [file] = Path("migrations/versions").glob("*.py")
    change = "op.create_table('customer', sa.Column('name', sa.Text))"
    file.write_text(file.read_text().replace("pass", change, 1))
    app = make_app("sqlite://", tmp_path)

    async def migrate() -> Any:
        await upgrade(app)
        async with app.test_app():
            return await app.extensions["database"].read(text("SELECT count(*) FROM customer"))

    assert asyncio.run(migrate()) == [(0,)]
