"""`seed` makes the same people and posts every time, on both engines."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from quartapp.database import DatabaseEngine
from quartapp.microblog.commands.seed import username
from quartapp.microblog.migrate import migrate
from quartapp.microblog.names import keys_of
from tests.microblog.commands.running import quart


def rows(url: str, statement: str) -> list[Any]:
    async def ask() -> list[Any]:
        database = DatabaseEngine(url)
        async with database.session(write=False) as session:
            found = [tuple(row) for row in await session.execute(text(statement))]
        await database.dispose()
        return found

    return asyncio.run(ask())


@pytest.fixture
def url(each_database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", each_database_url)
    migrate(each_database_url)
    return each_database_url


@pytest.mark.slow
def test_makes_people_and_posts_once(url: str) -> None:
    first = quart("seed", "--people", "30", "--posts", "1500")
    assert first.exit_code == 0
    assert "Added 30 people and 1500 posts." in first.stdout
    assert "Seeding" in first.stderr
    assert rows(url, "SELECT count(*) FROM users") == [(30,)]
    assert rows(url, "SELECT count(*) FROM posts") == [(1500,)]
    assert rows(url, "SELECT count(*) FROM followers WHERE follower_id = followed_id") == [(0,)]
    again = quart("seed", "--people", "30")
    assert "Added 0 people" in again.stdout
    assert rows(url, "SELECT count(*) FROM posts") == [(1500,)]


@pytest.mark.slow
def test_the_same_seed_makes_the_same_texts(url: str) -> None:
    quart("seed", "--people", "5", "--posts", "20")
    first = rows(url, "SELECT body, user_id FROM posts ORDER BY id")
    rows_before = rows(url, "SELECT username, about_me FROM users ORDER BY id")
    rewind(url)
    quart("seed", "--people", "5", "--posts", "20")
    assert rows(url, "SELECT username, about_me FROM users ORDER BY id") == rows_before
    assert [body for body, _ in rows(url, "SELECT body, user_id FROM posts ORDER BY id")] == [
        body for body, _ in first
    ]


def rewind(url: str) -> None:
    async def empty() -> None:
        database = DatabaseEngine(url)
        async with database.begin() as session:
            await session.execute(text("DELETE FROM users"))
        await database.dispose()

    asyncio.run(empty())


def test_a_password_that_a_form_refuses_is_refused() -> None:
    result = quart("seed", "--password", "cat")
    assert result.exit_code == 2
    assert "at least 8 characters" in result.output


@pytest.mark.slow
def test_a_name_like_somebodys_is_left_out(url: str) -> None:
    quart("create-admin", "SUSAN", "s@example.com", "--password", "cat-on-the-mat")
    result = quart("seed", "--people", "3", "--posts", "0")
    assert "Added 2 people" in result.stdout


def test_names_never_repeat() -> None:
    names = [username(number) for number in range(5000)]
    assert len(set(names)) == 5000
    for keys in zip(*map(keys_of, names), strict=True):
        assert len(set(keys)) == 5000
    assert names[0] == "susan"
