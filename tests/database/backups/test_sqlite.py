"""Backups of SQLite: of a database in use, whole or not at all, and back in its place."""

import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Table

from quartapp.database.backups import sqlite
from quartapp.database.backups.files import BackupError, Deadline
from quartapp.reporting import Reporting
from tests.database.backups.conftest import PEOPLE, PETS, Run, make_shop, write_migration

NAME = re.compile(r"shop-\d{8}T\d{6}Z\.sqlite")


@pytest.fixture
def database(shop: Path) -> Path:
    return shop / "instance" / "shop.db"


def opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, isolation_level=None)


def names(file: Path) -> set[str]:
    with closing(opened(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM people")}


def add(file: Path, *people: str) -> None:
    with closing(opened(file)) as connection:
        connection.executemany("INSERT INTO people VALUES (?)", [(name,) for name in people])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def user_of(file: Path, *, killed: bool = False) -> Iterator[None]:
    """Another process, which has added Eve, and still has the database open."""
    code = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("INSERT INTO people VALUES ('Eve')")
print(flush=True)
sys.stdin.read()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code, file], **pipes)  # type: ignore[call-overload]  # the pipes, by name
    with process:
        process.stdout.read(1)
        if killed:
            process.kill()
            process.wait()
        yield
        process.kill()


def back_up(database: Path, target: Path, seconds: float = 10) -> None:
    sqlite.back_up(database, target, Deadline(seconds), lambda remaining, total: None)


@pytest.mark.slow
def test_has_what_is_only_in_the_log(run: Run, database: Path, tmp_path: Path) -> None:
    with closing(opened(database)) as server:
        server.execute("INSERT INTO people VALUES ('Ada')")
        shutil.copyfile(database, tmp_path / "copied.db")

        run("backup", tmp_path / "backed-up.db")

    assert names(tmp_path / "backed-up.db") == {"Ada"}
    assert names(tmp_path / "copied.db") == set()  # which is why there is a command


@pytest.mark.slow
def test_ends_while_another_connection_writes(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PAGES", 1)
    with closing(opened(database)) as server:
        server.execute("INSERT INTO people VALUES ('before')")
        steps = []

        def write(remaining: int, _total: int) -> None:
            steps.append(remaining)
            server.execute("INSERT INTO people VALUES (?)", [f"{len(steps)}"])

        sqlite.back_up(database, tmp_path / "shop.sqlite", Deadline(2), write)

    assert steps == sorted(set(steps), reverse=True)
    assert len(steps) > 2
    assert names(tmp_path / "shop.sqlite") == {"before"}


def test_is_private_and_named_by_the_time(run: Run, database: Path) -> None:
    os.umask(before := os.umask(0))
    result = run("backup")

    folder = database.parent / "backups"
    [name] = files(folder)
    assert os.umask(before) == before
    assert NAME.fullmatch(name)
    assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert "revision 0001_people, checked" in result.stdout


def test_replaces_no_file_unless_asked(run: Run, database: Path, tmp_path: Path) -> None:
    target = tmp_path / "shop.sqlite"
    target.write_text("something else")

    refused = run("backup", target, code=1)
    assert "exists already" in refused.stderr
    assert target.read_text() == "something else"

    run("backup", target, "--replace")
    assert names(target) == set()


def test_replaces_no_database_and_no_device(run: Run, database: Path, tmp_path: Path) -> None:
    """A server would go on writing into a database that has lost its name."""
    add(database, "Ada")
    (tmp_path / "link").symlink_to(database)
    other, pipe = tmp_path / "other.db", tmp_path / "pipe"
    os.mkfifo(pipe)
    shutil.copyfile(database, other)
    with user_of(other):
        for target, reason in (
            (database, "belongs to the database itself"),
            (tmp_path / "link", "belongs to the database itself"),
            (Path(f"{database}-wal"), "belongs to the database itself"),
            (other, "is a database in use"),
            (pipe, "is no file"),
        ):
            before = target.stat().st_ino if target.exists() else 0
            assert reason in run("backup", target, "--replace", code=1).stderr
            assert (target.stat().st_ino if target.exists() else 0) == before
    assert "is no file" in run("restore", pipe, "--replace", code=1).stderr
    assert pipe.is_fifo()


def test_keeps_the_newest(run: Run, database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    old = [f"shop-2026010{day}T000000Z.sqlite" for day in (1, 2, 3)]
    others = ["other-20260101T000000Z.sqlite", "shop-20260101T000000Z.sqlite.txt"]
    for name in old + others:
        (folder / name).touch()

    run("backup", folder, "--keep", 2)

    left = files(folder)
    assert set(others) < set(left)
    assert [name for name in left if NAME.fullmatch(name)][:-1] == old[-1:]
    assert "name a folder" in run("backup", tmp_path / "file", "--keep", 2, code=2).stderr


def test_leaves_nothing_if_there_is_no_room(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(BackupError, match="cannot be copied: disk I/O error"):
            back_up(database, folder / "shop.sqlite")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert files(folder) == []


def test_keeps_no_copy_of_a_damaged_database(run: Run, database: Path, tmp_path: Path) -> None:
    with closing(opened(database)) as connection:
        connection.execute("BEGIN")
        people = [(f"{number:0>40}",) for number in range(500)]
        connection.executemany("INSERT INTO people VALUES (?)", people)
        connection.execute("COMMIT")
    with database.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(b"\1" * 4096)

    result = run("backup", tmp_path / "shop.sqlite", code=1)

    assert "The database is damaged, so the copy was not kept: " in result.stderr
    assert "shop.sqlite" not in files(tmp_path)


def test_stops_when_its_time_is_over(database: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"longer than 1e-09 seconds and was stopped"):
        back_up(database, tmp_path / "none" / "shop.sqlite", 1e-9)
    assert files(tmp_path / "none") == []


def test_a_database_that_is_not_there_is_not_made(run: Run, tmp_path: Path) -> None:
    assert "does not exist" in run("backup", code=1).stderr
    assert "in memory" in run("backup", code=1, url="sqlite://").stderr
    assert files(tmp_path) == []


def test_restores_and_keeps_what_it_replaces(run: Run, database: Path, tmp_path: Path) -> None:
    add(database, "Ada")
    run("backup", tmp_path / "shop.sqlite")
    with user_of(database, killed=True):
        assert database.with_name("shop.db-wal").stat().st_size

    refused = run("restore", tmp_path / "shop.sqlite", code=1)
    assert "--replace" in refused.stderr
    result = run("restore", tmp_path / "shop.sqlite", "--replace")

    [replaced] = database.parent.glob("shop.db.replaced-*")
    assert str(replaced) in result.stdout
    assert names(replaced) == {"Ada", "Eve"}
    assert names(database) == {"Ada"}
    assert database.stat().st_mode & 0o777 == 0o600
    assert "db upgrade" not in result.stdout


def test_restores_where_there_is_nothing(run: Run, database: Path, tmp_path: Path) -> None:
    add(database, "Ada")
    run("backup", tmp_path / "shop.sqlite")
    shutil.rmtree(database.parent)

    run("restore", tmp_path / "shop.sqlite")

    assert names(database) == {"Ada"}


def test_refuses_while_another_process_uses_the_database(
    run: Run, database: Path, tmp_path: Path
) -> None:
    run("backup", tmp_path / "shop.sqlite")
    with user_of(database):
        result = run("restore", tmp_path / "shop.sqlite", "--replace", code=1)
        assert "is in use: stop the server" in result.stderr
        assert names(database) == {"Eve"}
        assert not list(database.parent.glob("shop.db.*"))
    assert "Eve" in names(database)


def test_a_log_that_stays_does_not_get_into_the_restored_database(
    run: Run, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("backup", tmp_path / "shop.sqlite")
    with user_of(database, killed=True):
        pass
    monkeypatch.setattr(sqlite, "_empty_log", lambda _database: None)  # as if SQLite could not

    run("restore", tmp_path / "shop.sqlite", "--replace")

    assert names(database) == set()
    kept = [name for name in files(database.parent) if ".replaced-" in name]
    assert kept[1:] == [f"{kept[0]}-shm", f"{kept[0]}-wal"]
    assert names(database.parent / kept[0]) == {"Eve"}


def test_replaces_a_database_that_cannot_be_read(run: Run, database: Path, tmp_path: Path) -> None:
    run("backup", tmp_path / "shop.sqlite")
    database.write_bytes(b"destroyed")

    run("restore", tmp_path / "shop.sqlite", "--replace")

    assert names(database) == set()


def test_refuses_a_newer_database_and_names_what_an_older_one_needs(
    run: Run, database: Path, tmp_path: Path
) -> None:
    older, newer = tmp_path / "older.sqlite", tmp_path / "newer.sqlite"
    run("backup", older)
    migration = write_migration(tmp_path, "0002_pets", "0001_people", PETS)
    run("upgrade")
    run("backup", newer)

    assert "run 'quart --app shop db upgrade' now" in run("restore", older, "--replace").stdout

    migration.unlink()
    result = run("restore", newer, "--replace", code=1)
    assert "has the revision '0002_pets', which is not among" in result.stderr
    assert not list(database.parent.glob("shop.db.*incomplete"))
    with closing(opened(database)) as connection:
        [(revision,)] = connection.execute("SELECT version_num FROM alembic_version")
    assert revision == "0001_people"


def test_restores_nothing_that_is_damaged(run: Run, database: Path, tmp_path: Path) -> None:
    add(database, "Ada")
    torn, text, used = tmp_path / "torn.sqlite", tmp_path / "text.sqlite", tmp_path / "used.db"
    run("backup", torn)
    os.truncate(torn, torn.stat().st_size - 4096)
    text.write_text("no database")
    with user_of(database, killed=True):
        shutil.copyfile(database, used)
        shutil.copyfile(f"{database}-wal", f"{used}-wal")

    for file, reason in ((torn, "torn.sqlite is damaged"), (text, "not a database"), (used, "log")):
        assert reason in run("restore", file, "--replace", code=1).stderr
    assert "does not exist" in run("restore", tmp_path / "none", code=2).stderr
    assert names(database) == {"Ada", "Eve"}
    assert not list(database.parent.glob(".*"))


def test_backs_up_no_database_without_tables(run: Run, database: Path, tmp_path: Path) -> None:
    database.write_bytes(b"")  # for SQLite a database
    target = tmp_path / "copy.sqlite"
    assert "has no tables, so there is nothing" in run("backup", target, code=1).stderr
    assert not target.exists()


def test_restores_no_empty_file_and_no_other_database(
    run: Run, database: Path, tmp_path: Path
) -> None:
    add(database, "Ada")
    empty, foreign = tmp_path / "empty.sqlite", tmp_path / "foreign.sqlite"
    empty.touch()
    with closing(opened(foreign)) as connection:
        connection.execute("CREATE TABLE planets (name TEXT)")
    app = make_shop("sqlite:///shop.db", tmp_path)
    Table("people", app.extensions["database.extension"].metadata)

    for file, reason in ((empty, "has no tables"), (foreign, "is the backup of another database")):
        assert reason in run("restore", file, "--replace", app=app, code=1).stderr
    assert names(database) == {"Ada"}


def test_errors_may_have_a_database_of_their_own(run: Run, database: Path, tmp_path: Path) -> None:
    app = make_shop("sqlite:///shop.db", tmp_path)
    Reporting(app)
    errors = tmp_path / "instance" / "errors.db"
    with closing(opened(errors)) as connection:
        connection.execute("CREATE TABLE error_groups (title TEXT)")
        connection.execute(PEOPLE)
    add(errors, "KeyError")

    assert "'db backup --errors'" in run("backup", tmp_path / "shop.sqlite", app=app).stderr
    run("backup", tmp_path / "errors.sqlite", "--errors", app=app)
    errors.unlink()
    other = run("restore", tmp_path / "shop.sqlite", "--errors", app=app, code=1)
    assert "is the backup of another database" in other.stderr
    run("restore", tmp_path / "errors.sqlite", "--errors", app=app)

    assert names(errors) == {"KeyError"}
    assert names(tmp_path / "shop.sqlite") == set()
