"""A shop with two migrations, and its commands."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result
from quart import Quart
from quart.cli import ScriptInfo
from sqlalchemy.orm import DeclarativeBase

from quartapp.database import Database
from quartapp.database.migrations.commands import db

Run: TypeAlias = Callable[..., Result]

MIGRATION = '''
"""{name}"""
from alembic import op

revision, down_revision, branch_labels, depends_on = "{name}", {before!r}, None, None

def upgrade() -> None:
    op.execute("{sql}")
'''

PEOPLE = "CREATE TABLE people (name VARCHAR(40) PRIMARY KEY)"
PETS = "CREATE TABLE pets (name VARCHAR(40) PRIMARY KEY)"


def make_shop(url: str, folder: Path) -> Quart:
    class Base(DeclarativeBase):
        pass

    app = Quart("shop", root_path=str(folder), instance_path=str(folder / "instance"))
    app.config["DATABASE_URL"] = url
    Database(app, model_class=Base)
    return app


def write_migration(folder: Path, name: str, before: str | None, sql: str) -> Path:
    file = folder / "migrations" / "versions" / f"{name}.py"
    file.write_text(MIGRATION.format(name=name, before=before, sql=sql), "utf-8")
    return file


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("backup")` runs `quart db backup`, which must exit with `code`."""
    monkeypatch.chdir(tmp_path)
    logging.getLogger("theirs").disabled = False

    def invoke(
        *arguments: object,
        code: int = 0,
        url: str = "sqlite:///shop.db",
        app: Quart | None = None,
    ) -> Result:
        script = ScriptInfo(create_app=lambda *_: app or make_shop(url, tmp_path))
        result = CliRunner().invoke(db, [str(each) for each in arguments], obj=script)
        assert result.exit_code == code, (result.output, result.exception)
        assert not code or isinstance(result.exception, SystemExit), "a traceback"
        return result

    return invoke


@pytest.fixture
def shop(run: Run, tmp_path: Path) -> Path:
    """The folder of the shop, whose database was migrated to its first revision."""
    run("init")
    write_migration(tmp_path, "0001_people", None, PEOPLE)
    run("upgrade")
    return tmp_path
