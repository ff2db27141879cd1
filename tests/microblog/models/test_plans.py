"""The databases find the rows of a list by an index, and read no others."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from quartapp.database import DatabaseEngine, Session
from quartapp.flasklike import App
from quartapp.microblog.models.login import other_logins
from quartapp.microblog.models.paging import PageRequest
from quartapp.microblog.models.people import followed_by, followers_of
from quartapp.microblog.models.post import all_posts, posts_of, timeline
from quartapp.microblog.models.token import tokens_of

Ask = Callable[[Session, PageRequest], Awaitable[Any]]

LISTS: dict[str, Ask] = {
    "timeline": lambda session, wanted: timeline(session, 1, wanted),
    "all posts": all_posts,
    "posts of one": lambda session, wanted: posts_of(session, 1, wanted),
    "followers": lambda session, wanted: followers_of(session, 1, wanted),
    "followed": lambda session, wanted: followed_by(session, 1, wanted),
    "logins": lambda session, wanted: other_logins(session, 1, 2, wanted),
    "tokens": lambda session, wanted: tokens_of(session, 1, wanted),
}


async def plan_of(app: App, ask: Ask, wanted: PageRequest) -> list[str]:
    """SQLite's plan for the one statement of a list."""
    database: DatabaseEngine = app.extensions["database"]
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        sent.append((statement, values))

    async with database.session(write=False) as session:
        connection = await session.connection()
        # Only on this connection: the application's tasks use the engine too.
        event.listen(connection.sync_connection, "before_cursor_execute", note)
        await ask(session, wanted)
        [(statement, values)] = sent
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        return [row.detail for row in rows]


@pytest.mark.parametrize("wanted", [PageRequest(25), PageRequest(25, before=9)], ids=str)
@pytest.mark.parametrize("name", LISTS)
async def test_no_list_reads_a_whole_table(app: App, name: str, wanted: PageRequest) -> None:
    plan = await plan_of(app, LISTS[name], wanted)
    scans = [step for step in plan if step.startswith("SCAN ") and step != "SCAN CONSTANT ROW"]
    # Everybody's posts, newest first, are read in the order of the key until the page is full.
    assert scans == (["SCAN posts"] if name == "all posts" and wanted.before is None else [])


async def test_a_timeline_finds_its_keys_in_one_index(app: App) -> None:
    plan = await plan_of(app, LISTS["timeline"], PageRequest(25))
    assert "SEARCH chosen USING COVERING INDEX ix_posts_user_id_id (user_id=?)" in plan
    assert "MULTI-INDEX OR" not in plan


async def test_the_plans_are_read_from_the_database(app: App) -> None:
    async def slow(session: Session, _wanted: PageRequest) -> None:
        await session.execute(text("SELECT id FROM posts WHERE body = 'x'"))

    assert await plan_of(app, slow, PageRequest(25)) == ["SCAN posts"]
