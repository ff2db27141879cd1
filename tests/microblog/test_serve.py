"""The command line of run.py."""

import asyncio
import secrets
from pathlib import Path

import pytest
from sqlalchemy import text

from quartapp.database import DatabaseEngine
from quartapp.microblog import serve
from quartapp.serving import server

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", secrets.token_hex())
    return tmp_path


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main(["--help"]) == 0
    assert {"--migrate", "--local", "--help"} <= set(capsys.readouterr().out.split())


def test_an_unknown_option_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main(["--local", "--migrations"]) == 2
    said = "quartapp: unknown option '--migrations'; known are --migrate, --local, --help\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("option", ["--migrate", "--local"])
def test_a_database_that_cannot_be_migrated_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    assert serve.main([option]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("quartapp: The database does not answer: ")


def test_migrate_migrates_and_then_serves(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def migrated() -> bool:
        database = DatabaseEngine(f"sqlite:///{folder / 'instance' / 'quartapp.db'}")
        rows = await database.read(text("SELECT count(*) FROM users"))
        await database.dispose()
        return [tuple(row) for row in rows] == [(0,)]

    served: list[bool] = []

    def run(*_given: object, **_options: object) -> int:
        served.append(asyncio.run(migrated()))
        return 0

    monkeypatch.setattr(server, "run", run)
    assert [serve.main(["--migrate"]), serve.main(["--migrate"])] == [0, 0]
    assert served == [True, True]
    assert capsys.readouterr().err.count("the database was migrated from base to ") == 1
