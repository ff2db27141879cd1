"""Alembic knows the tables of errors of an application that has them in its own database."""

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner
from quart import Quart
from quart.cli import ScriptInfo

from quartapp.database import Database
from quartapp.database.migrations.commands import db as commands
from quartapp.reporting import Reporting


@pytest.mark.slow
def test_db_init_adds_the_tables_of_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.WARNING)
    app = Quart("shop", instance_path=str(tmp_path))
    app.config["DATABASE_URL"] = "sqlite:///shop.db"
    Reporting(app, database=Database(app))
    script = ScriptInfo(create_app=lambda *_: app)
    for arguments in (["init"], ["migrate"], ["upgrade"], ["check"], ["downgrade"]):
        result = CliRunner().invoke(commands, arguments, obj=script)
        assert result.exit_code == 0, result.output
    [migration] = Path("migrations/versions").glob("*.py")
    assert "'error_groups'" in migration.read_text("utf-8")
