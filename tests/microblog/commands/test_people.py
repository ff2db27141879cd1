"""`create-admin` adds a person, or says in one sentence why not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from tests.microblog.commands.running import migrated, quart


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'commands.db'}"
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("ENVIRONMENT", "development")  # production has no cheap passwords
    monkeypatch.setenv("PASSWORD_COST", "7")
    monkeypatch.chdir(tmp_path)
    return url


def make_tables(database: str) -> None:
    Path(database.removeprefix("sqlite:///")).write_bytes(migrated())


def run(*arguments: str, password: str = "cat-on-the-mat") -> Result:
    return quart("create-admin", *arguments, "--password", password)


@pytest.mark.slow
def test_adds_an_administrator(database: str) -> None:
    make_tables(database)
    result = run("ada", "ada@example.com")
    assert result.exit_code == 0
    assert "ada may now log in" in result.output
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        found = connection.execute("SELECT kind, user_id, detail FROM security_events").fetchall()
    assert found == [("registered", 1, "by create-admin")]


@pytest.mark.slow
def test_a_reserved_name_is_for_an_administrator(database: str) -> None:
    make_tables(database)
    assert run("admin", "ada@example.com").exit_code == 0
    result = run("ADMIN", "other@example.com")
    assert result.output == "Error: username: Please use a different username.\n"


@pytest.mark.parametrize("password", ["cat", "password", "p" * 257, "ada-1815"])
def test_a_password_that_a_form_refuses_is_refused(database: str, password: str) -> None:
    result = run("ada", "ada@example.com", password=password)
    assert result.exit_code == 2
    assert "Invalid value for password" in result.output


@pytest.mark.slow
def test_a_taken_name_is_one_sentence(database: str) -> None:
    make_tables(database)
    run("ada", "ada@example.com")
    result = run("ada", "other@example.com")
    assert result.exit_code == 1
    assert result.output == "Error: username: Please use a different username.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (" ", "a@example.com"),
        ("x" * 65, "a@example.com"),
        ("a\0b", "a@example.com"),
        ("a/b", "a@example.com"),
        ("ada\ufe0f", "a@example.com"),
        ("ada", "nonsense"),
    ],
)
def test_what_a_form_refuses_is_refused(database: str, arguments: tuple[str, str]) -> None:
    make_tables(database)
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Invalid value for" in result.output


def test_a_database_without_tables_says_what_to_do() -> None:
    result = run("ada", "ada@example.com")
    assert result.exit_code == 1
    assert "quartapp db upgrade" in result.output


def test_a_database_that_is_away_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    result = run("ada", "ada@example.com")
    assert result.exit_code == 1
    assert result.output.startswith("Error: The database does not answer: ")


def test_a_bad_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "abc")
    result = run("ada", "ada@example.com")
    assert result.exit_code == 2
    assert result.output.startswith("Error: PORT: ")


def rows(database: str, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def member(database: str) -> str:
    """Somebody who has registered; the address of the database."""
    make_tables(database)
    run("ada", "ada@example.com")
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE users SET is_admin = 0")
        connection.execute("DELETE FROM security_events")
    return database


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("ada",), ("ada", "ada@example.com")])
def test_promotes_somebody_who_is_registered(member: str, arguments: tuple[str, ...]) -> None:
    before = rows(member, "SELECT password_hash FROM users")
    result = quart("create-admin", *arguments, "--promote")
    assert result.exit_code == 0
    assert result.output == "ada is an administrator now; their password stays as it is.\n"
    assert rows(member, "SELECT is_admin FROM users") == [(1,)]
    assert rows(member, "SELECT password_hash FROM users") == before
    events = rows(member, "SELECT kind, user_id, detail FROM security_events")
    assert events == [("promoted", 1, "by create-admin")]
    again = quart("create-admin", "ada", "--promote")
    assert again.output == "ada is an administrator already; nothing was changed.\n"


@pytest.mark.slow
def test_asks_before_somebody_is_promoted(member: str) -> None:
    refused = quart("create-admin", "ada", given="n\n")
    assert refused.exit_code == 1
    assert "Make them an administrator? [y/N]" in refused.output
    assert rows(member, "SELECT is_admin FROM users") == [(0,)]
    assert quart("create-admin", "ada", given="y\n").exit_code == 0
    assert rows(member, "SELECT is_admin FROM users") == [(1,)]


@pytest.mark.slow
def test_somebody_unknown_cannot_be_promoted(member: str) -> None:
    result = quart("create-admin", "grace", "--promote")
    assert result.exit_code == 2
    assert "Nobody is called grace" in result.output
    other = quart(
        "create-admin", "ada", "grace@example.com", "--promote", given="cat-on-the-mat\n" * 2
    )
    assert other.exit_code == 1
    assert "Please use a different username." in other.output
    assert rows(member, "SELECT is_admin FROM users") == [(0,)]
