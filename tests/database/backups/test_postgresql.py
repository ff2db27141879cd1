"""Backups of PostgreSQL: one snapshot, and back in one transaction."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import Result
from sqlalchemy.engine import make_url

from quartapp.database.backups import postgresql
from quartapp.database.backups.files import BackupError, Deadline
from tests.database.backups.conftest import PETS, Run, write_migration

pytestmark = pytest.mark.postgresql

PEOPLE = "CREATE TABLE people (name text PRIMARY KEY)"
VERSION = "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)"
NEWER = """
CREATE TABLE orders (person text REFERENCES people, state mood);
CREATE VIEW everybody AS SELECT name FROM people;
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE DOMAIN short AS varchar(3);
CREATE SCHEMA archive; CREATE TABLE archive.people (name text);
"""

Db = Callable[..., Result]


def execute(url: str, *statements: str) -> list[Any]:
    """Run statements; the rows of the last one."""

    async def go() -> list[Any]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return [tuple(row) for row in await connection.fetch(statements[-1])]
        finally:
            await connection.close()

    return asyncio.run(go())


def names(url: str) -> list[str]:
    return sorted(name for (name,) in execute(url, "SELECT name FROM people"))


@pytest.fixture
def url(postgresql_url: str) -> str:
    execute(postgresql_url, PEOPLE, "INSERT INTO people VALUES ('Ada')")
    return postgresql_url


@pytest.fixture
def db(run: Run, url: str) -> Db:
    def invoke(*arguments: object, **more: Any) -> Result:
        return run(*arguments, **{"url": url, **more})

    return invoke


def test_restores_what_was_there_and_nothing_else(db: Db, url: str, tmp_path: Path) -> None:
    execute(url, "CREATE TYPE mood AS ENUM ('sad', 'glad')")
    target = tmp_path / "shop.dump"
    result = db("backup", target)
    assert "without a revision, checked" in result.stdout
    assert target.stat().st_mode & 0o777 == 0o600
    execute(url, "INSERT INTO people VALUES ('Eve')", NEWER, "SELECT 1")

    assert "has tables already: --replace" in db("restore", target, code=1).stderr
    assert names(url) == ["Ada", "Eve"]
    db("restore", target, "--replace")

    assert names(url) == ["Ada"]
    left = "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    others = " WHERE relkind IN ('r', 'v') AND nspname !~ '^pg_|^information'"
    assert execute(url, left + others) == [("people",)]
    types = "SELECT typname::text FROM pg_type WHERE typtype IN ('e', 'd') AND typname IN"
    assert execute(url, f"{types} ('mood', 'short')") == [("mood",)]
    assert execute(url, "SELECT FROM pg_proc WHERE proname = 'one'") == []


def test_backs_up_no_database_without_tables(db: Db, url: str, tmp_path: Path) -> None:
    execute(url, "DROP TABLE people", "SELECT 1")
    assert "has no tables, so there is nothing" in db("backup", tmp_path, code=1).stderr
    assert not list(tmp_path.glob("*.dump"))


def test_names_backups_by_the_time_and_keeps_the_newest(db: Db, url: str, tmp_path: Path) -> None:
    name = make_url(url).database
    (tmp_path / f"{name}-20260101T000000Z.dump").touch()

    result = db("backup", tmp_path, "--keep", 1)

    [left] = tmp_path.glob("*.dump")
    assert str(left) in result.stdout
    assert left.stat().st_size


def test_knows_the_revision(db: Db, url: str, tmp_path: Path) -> None:
    db("init")
    older, newer = tmp_path / "older.dump", tmp_path / "newer.dump"
    write_migration(tmp_path, "0001_people", None, "SELECT 1")
    execute(url, VERSION, "INSERT INTO alembic_version VALUES ('0001_people')")
    assert "revision 0001_people" in db("backup", older).stdout
    migration = write_migration(tmp_path, "0002_pets", "0001_people", PETS)
    execute(url, "UPDATE alembic_version SET version_num = '0002_pets'")
    db("backup", newer)

    assert "db upgrade' now" in db("restore", older, "--replace").stdout
    migration.unlink()
    assert "has the revision '0002_pets'" in db("restore", newer, "--replace", code=1).stderr
    assert execute(url, "SELECT version_num FROM alembic_version") == [("0001_people",)]


def test_refuses_while_somebody_is_connected(db: Db, url: str, tmp_path: Path) -> None:
    target = tmp_path / "shop.dump"
    db("backup", target)
    with asyncio.Runner() as runner:
        server = runner.run(asyncpg.connect(url.replace("+asyncpg", "")))
        result = db("restore", target, "--replace", code=1)
        runner.run(server.close())
    assert "is in use by 1 connections: stop the servers" in result.stderr


def test_a_torn_dump_changes_nothing(
    db: Db, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "shop.dump"
    execute(url, "INSERT INTO people SELECT n::text FROM generate_series(1, 20000) n")
    db("backup", target)
    os.truncate(target, target.stat().st_size * 2 // 3)
    execute(url, "DELETE FROM people WHERE name <> 'Ada'")

    result = db("restore", target, "--replace", code=1)
    assert "is damaged, or no backup of PostgreSQL: " in result.stderr
    # Even if nobody had noticed before:
    monkeypatch.setattr(postgresql._Server, "check", lambda *_: ())
    assert "Nothing was restored: " in db("restore", target, "--replace", code=1).stderr
    assert names(url) == ["Ada"]


def test_what_pg_restore_does_not_finish_is_not_committed(
    db: Db, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "shop.dump"
    db("backup", target)
    programs = postgresql._Server._try

    def fail(self: Any, program: str, *given: str, **options: Any) -> Any:
        if "stdout" in options:  # as if the disk had failed
            return subprocess.CompletedProcess(given, 1, b"", b"pg_restore: error: could not read")
        return programs(self, program, *given)

    monkeypatch.setattr(postgresql._Server, "_try", fail)
    result = db("restore", target, "--replace", code=1)
    assert "Nothing was restored: could not read." in result.stderr
    assert names(url) == ["Ada"]


def test_a_statement_that_fails_changes_nothing(
    db: Db, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "shop.dump"
    db("backup", target)
    execute(url, "INSERT INTO people VALUES ('Eve')")
    monkeypatch.setattr(postgresql, "_EMPTY", "DELETE FROM people;")

    result = db("restore", target, "--replace", code=1)

    assert 'Nothing was restored: relation "people" already exists.' in result.stderr
    assert names(url) == ["Ada", "Eve"]


def test_the_password_is_in_no_command_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[Any], dict[str, str]]] = []
    accepted: list[Any] = []

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, args: Any, **options: Any) -> None:
            calls.append((args, options.get("env") or {}))
            super().__init__(args, **options)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    address = make_url(url).set(password="geheim42")
    postgresql.back_up(address, tmp_path / "shop.dump", Deadline(10))
    postgresql.restore(
        tmp_path / "shop.dump",
        address,
        Deadline(10),
        lambda *found: accepted.append(found),
        replace=True,
    )
    assert accepted == [((), {"people"})]

    asked = [(args, given) for args, given in calls if "--version" not in args]
    assert len(asked) > 5
    assert all("geheim42" not in f"{each}" for args, _ in asked for each in args)
    assert {given["PGPASSWORD"] for _, given in asked} == {"geheim42"}


def test_what_is_wrong_is_one_sentence(
    db: Db, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "shop.dump"
    nowhere = make_url(url).set(port=1).render_as_string(hide_password=False)
    said = db("backup", target, url=nowhere, code=1).stderr
    assert "Connection refused" in said
    assert said.count("\n") == 1
    missing = make_url(url).set(database="none").render_as_string(hide_password=False)
    assert 'database "none" does not exist.' in db("backup", target, url=missing, code=1).stderr
    with pytest.raises(BackupError, match=r"longer than 0\.001 seconds"):
        postgresql.back_up(make_url(url), target, Deadline(0.001))

    monkeypatch.setattr(postgresql, "_installed", lambda: {9: Path("/usr/bin")})
    assert "newest pg_dump here is of 9: install" in db("backup", target, code=1).stderr
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(postgresql, "_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install postgresql-client" in db("backup", target, code=1).stderr
    assert not target.exists()
