"""The overview: numbers, what is new, and what is broken, each on a line of its own."""

from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import insert, text

from quartapp.inbox import overview
from quartapp.reporting.journal.entries import Tick
from quartapp.reporting.journal.segments import Segment, pack
from quartapp.reporting.queries.overview import Responses
from quartapp.reporting.tables import ErrorAlert
from tests.inbox.conftest import OPERATOR, make_app
from tests.inbox.test_listing import ALLOWED_HREF, HOSTILE, Elements, add
from tests.reporting.queries.test_listing import group


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    made: Quart = make_app(tmp_path)
    return made


async def shown(client: Any) -> Elements:
    answer = await client.get("/errors/overview", headers=OPERATOR)
    assert answer.status_code == 200
    return Elements(await answer.get_data(as_text=True))


async def test_a_new_application_has_nothing_to_show(client: Any) -> None:
    page = await shown(client)
    assert "No error has been recorded yet." in page.text
    assert "Usual: not known yet" in page.text
    assert "no responses in the last five minutes" in page.text
    states = [attrs["data-value"] for _, attrs in page.found if "data-value" in attrs]
    assert set(states) == {"good"}


async def test_it_shows_what_is_new_and_what_came_back(app: Quart, client: Any) -> None:
    await add(
        app,
        group(1, title="KeyError in old", regressed_at=1.0),
        group(2, title="ValueError in new"),
    )
    page = await shown(client)
    assert page.text.index("ValueError in new") < page.text.index("Came back")
    assert page.text.count("KeyError in old") == 2
    links = [attrs["href"] for tag, attrs in page.found if tag == "a"]
    assert "/errors/2" in links


async def test_texts_of_reports_and_mail_servers_stay_texts(app: Quart, client: Any) -> None:
    titles = [title.replace("\x00", "").replace("\ud800", "") for title in HOSTILE]
    await add(app, *(group(n, title=title, culprit=title) for n, title in enumerate(titles, 1)))
    async with app.extensions["reporting"].database.begin() as session:
        await session.execute(
            insert(ErrorAlert),
            [
                {
                    "group_id": 1,
                    "kind": "new",
                    "ordinal": n,
                    "episode": 0,
                    "count": 1,
                    "since": 0.0,
                    "created_at": 1.0,
                    "due_at": 4e9,
                    "error": f"550 {title}",
                }
                for n, title in enumerate(titles)
            ],
        )
    page = await shown(client)
    assert [tag for tag, _ in page.found].count("script") == 1
    assert not [tag for tag, _ in page.found if tag in {"img", "iframe"}]
    for tag, attrs in page.found:
        assert not [name for name in attrs if name.startswith("on")]
        if tag == "a":
            assert ALLOWED_HREF.fullmatch(attrs["href"] or ""), attrs
    assert "the last failure: 550" in page.text
    assert "\u202e" not in page.text


@pytest.mark.slow
async def test_a_database_that_is_away_is_a_line(app: Quart, client: Any) -> None:
    await shown(client)
    async with app.extensions["reporting"].database.begin() as session:
        await session.execute(text("ALTER TABLE error_groups DROP COLUMN message"))
        await session.execute(text("DROP INDEX ix_error_hours_hour"))
    page = await shown(client)
    assert "a migration is pending: the table error_groups lacks a column" in page.text
    says = "no such column: error_groups.message - a migration is pending, run 'quart db upgrade'."
    assert says in page.text
    for untrue in ("none in 60 minutes", "No error has been recorded yet", "None."):
        assert untrue not in page.text, "what nobody could ask for"
    assert page.text.count("Unknown.") == 2
    async with app.extensions["reporting"].database.begin() as session:
        await session.execute(text("DROP TABLE error_minutes"))
    assert "The database has no such table" in (await shown(client)).text
    async with app.extensions["reporting"].database.begin() as session:
        await session.execute(text("UPDATE error_schema SET version = 99"))
    assert "its tables have version 99, and this release knows 2" in (await shown(client)).text


async def test_a_journal_that_cannot_be_read_is_a_line(
    app: Quart, client: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "journal"
    (folder / "strange.journal").mkdir()
    await app.extensions["reporting"].flush()
    assert "1 foreign files are in" in (await shown(client)).text


async def test_it_says_how_old_the_oldest_uncounted_line_is(
    app: Quart, client: Any, tmp_path: Path
) -> None:
    other = Segment.make(tmp_path / "journal", 4096, content=pack(Tick("f" * 32, 1000).encode()))
    page = await shown(client)  # another process owns it
    assert "1 segments have lines that are not counted, the oldest is 1" in page.text
    other.close()
    await app.extensions["reporting"].flush()
    assert "everything in this machine's journal is counted" in (await shown(client)).text


async def test_what_is_usual_is_asked_once_an_hour(
    app: Quart, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = (await shown(client)).text.partition("Usual: ")[2][:20]
    monkeypatch.delattr(overview, "usual_rate")
    assert f"Usual: {usual}" in (await shown(client)).text


@pytest.mark.parametrize(
    ("found", "expected"),
    [((0, 0), "no responses"), ((100, 0), "0 %"), ((1000, 1), "0.10 %"), ((8, 4), "50 %")],
)
def test_a_share_has_as_many_digits_as_it_needs(found: tuple[int, int], expected: str) -> None:
    assert overview._share(Responses(*found)) == expected
