"""The commands that list errors, show one, and act on one, however it is named."""

import asyncio
import getpass
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from os import terminal_size
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from quart import Quart
from sqlalchemy import select

from quartapp.reporting import Reporting
from quartapp.reporting.commands import listing
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.queries.listing import state_of
from quartapp.reporting.references import number_of
from quartapp.reporting.tables import ErrorAct, ErrorGroup, ErrorReference, ErrorTag
from tests.reporting.test_commands_elsewhere import make_shop, run

NOW = datetime.now(UTC)


class Shop:
    """An application with four errors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        asyncio.run(self._fill())

    def make_app(self) -> Quart:
        app = make_shop(self.folder)
        app.config["RELEASE"] = "1.4"
        Reporting(app)
        return app

    def run(self, *arguments: str) -> Result:
        return run(self.make_app(), *arguments)

    def said(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str, code: int = 1) -> str:
        result = self.run(*arguments)
        assert result.exit_code == code, result.output
        return result.stderr

    def read(self, question: Any) -> list[Any]:
        async def ask() -> list[Any]:
            pipeline: Pipeline = self.make_app().extensions["reporting"]
            async with pipeline.database.session(write=False) as session:
                found = list((await session.scalars(question)).all())
            await pipeline.database.dispose()
            return found

        return asyncio.run(ask())

    def group(self, group_id: int = 1) -> ErrorGroup:
        [found] = self.read(select(ErrorGroup).where(ErrorGroup.id == group_id))
        return found  # type: ignore[no-any-return]  # the question says what it is

    def acts(self) -> list[tuple[str, str, str]]:
        rows = self.read(select(ErrorAct).order_by(ErrorAct.id))
        return [(act.kind, act.who, act.text) for act in rows]

    async def _fill(self) -> None:
        pipeline: Pipeline = self.make_app().extensions["reporting"]
        await pipeline.prepare()
        async with pipeline.database.begin() as session:
            for number, name in enumerate(("abcd1", "abcd2", "12345", "eeee"), 1):
                seen = NOW - timedelta(hours=number * 10)
                session.add(
                    ErrorGroup(
                        fingerprint=f"{name:0<32}-1",
                        title=f"KeyError{number} 漢字 in web.orders",
                        message="no printer",
                        count=number * 1000,
                        first_seen=seen,
                        last_seen=seen,
                    )
                )
            await session.flush()
            session.add(
                ErrorReference(
                    number=number_of("abcdefgh"), group_id=3, seen_at=int(NOW.timestamp())
                )
            )
            tag = {"first_seen": 0.0, "last_seen": 0.0}
            session.add(ErrorTag(group_id=2, name="release", value="1.3", **tag))
        await pipeline.database.dispose()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.mark.slow
def test_each_name_of_an_error_leads_to_it(shop: Shop) -> None:
    for key in ("3", "abcdefgh", "ABCD-EFGH", "12345", "#12345", "123450000"):
        assert shop.said("show", key).startswith("3 #1234 "), key
    for key in ("abcd1", "#ABCD1"):
        assert shop.said("show", key).startswith("1 #abcd "), key
    for key in ("99", "zzzz", "abc", "22222222", "#3"):
        assert shop.refused("show", key) == "Error: There is no such error.\n", key
    assert shop.refused("show", "abcd").splitlines() == [
        "Error: abcd names several errors:",
        "       1  abcd10000000  KeyError1 漢字 in web.orders",
        "       2  abcd20000000  KeyError2 漢字 in web.orders",
    ]
    assert "expected an id" in shop.refused("show", "x" * 65, code=2)


@pytest.mark.slow
def test_the_acts(shop: Shop) -> None:
    said: list[str] = [
        shop.said("resolve", "abcd1"),
        shop.said("reopen", "1"),
        shop.said("resolve", "1", "--next"),
        shop.said("mute", "1", "--again"),
        shop.said("mute", "1", "--rate", "50"),
        shop.said("mute", "1", "--until", "2200-01-01T00:00+00:00", "--times", "7"),
        shop.said("unmute", "1"),
        shop.said("comment", "1", "It is the <b>supplier</b>."),
    ]
    assert said == [
        "1 is resolved.\n",
        "1 is open.\n",
        "1 is resolved.\n",
        *["1 is muted.\n"] * 3,
        "1 is no longer muted.\n",
        "1 has your comment.\n",
    ]
    who = getpass.getuser()
    assert shop.acts() == [
        ("resolve", who, ""),
        ("reopen", who, ""),
        ("resolve_next", who, "in the release after 1.4"),
        ("mute", who, "until it happens again"),
        ("mute", who, "until more than 50 in an hour"),
        ("mute", who, "until 2200-01-01 00:00:00 UTC or for 7 more"),
        ("reopen", who, ""),
        ("comment", who, "It is the <b>supplier</b>."),
    ]
    assert state_of(shop.group(), NOW.timestamp()) == "new"


def test_an_act_that_cannot_be_is_one_sentence(shop: Shop) -> None:
    assert "1 is not muted." in shop.refused("unmute", "1")
    assert "at least one character" in shop.refused("comment", "1", " ")
    assert "over already" in shop.refused("mute", "1", "--until", "1999-01-01", code=2)
    assert "two times" in shop.refused("mute", "1", "--hours", "1", "--until", "2200-01-01", code=2)
    assert "Only one of" in shop.refused("mute", "1", "--times", "1", "--again", code=2)
    assert shop.acts() == []


def test_deleting_asks_before(shop: Shop) -> None:
    assert "Aborted!" in shop.refused("delete", "abcd1")
    assert shop.group().count == 1000
    assert shop.said("delete", "abcd1", "--yes") == "1 is deleted.\n"
    assert len(shop.read(select(ErrorGroup))) == 3


def test_who_has_no_name_is_a_number(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr(getpass, "getuser", nobody)
    shop.run("resolve", "1")
    [(_, who, _)] = shop.acts()
    assert who.startswith("user ")


def ids(table: str) -> list[int]:
    return [int(line.split()[0]) for line in table.splitlines()[1:] if line[:6].strip().isdigit()]


@pytest.mark.slow
def test_the_list_is_filtered_sorted_and_paged(shop: Shop) -> None:
    shop.run("resolve", "4")
    table = shop.said("list")
    assert table.splitlines()[0].split() == ["ID", "STATE", "COUNT", "LAST", "SEEN", "ERROR"]
    assert ids(table) == [1, 2, 3, 4]
    for arguments, expected in (
        (("--state", "resolved"), [4]),
        (("--state", "ongoing"), [3]),
        (("--state", "new"), [1, 2]),
        (("--release", "1.3"), [2]),
        (("--search", "keyerror2"), [2]),
        (("--search", "printer"), [1, 2, 3, 4]),
        (("--since", "15h"), [1]),
        (("--since", (NOW - timedelta(hours=25)).isoformat()), [1, 2]),
        (("--sort", "count"), [4, 3, 2, 1]),
        (("--limit", "3"), [1, 2, 3]),
        (("--limit", "3", "--page", "2"), [4]),
    ):
        assert ids(shop.said("list", *arguments)) == expected, arguments
    assert shop.said("list", "--host", "nowhere") == "No error matches.\n"
    assert shop.said("list", "--page", "9", "--limit", "1") == "There is no error here.\n"
    assert "expected 90m" in shop.refused("list", "--since", "soon", code=2)
    found = json.loads(shop.said("list", "--json", "--limit", "4", "--sort", "count"))
    assert [(group["id"], group["state"]) for group in found] == [
        (4, "resolved"), (3, "open"), (2, "open"), (1, "open"),
    ], "scripts rely on these words"  # fmt: skip


def test_an_empty_list_says_so(tmp_path: Path) -> None:
    app = make_shop(tmp_path)
    Reporting(app)

    async def prepare() -> None:
        await app.extensions["reporting"].prepare()
        await app.extensions["reporting"].database.dispose()

    asyncio.run(prepare())
    assert run(app, "list").stdout == "No error has been recorded.\n"


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    def set_size(columns: int, lines: int) -> None:
        monkeypatch.setattr(listing, "is_terminal", lambda: True)
        monkeypatch.setattr(
            shutil, "get_terminal_size", lambda *_, **__: terminal_size((columns, lines))
        )

    return set_size


def test_a_terminal_shows_a_page_that_fits(
    shop: Shop, on_terminal: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_terminal(62, 6)
    monkeypatch.setattr(listing, "_FEWEST", 2)
    lines = shop.said("list").splitlines()
    assert ids("\n".join(lines)) == [1, 2]
    assert lines[-1] == "More errors: --page 2"
    for line in lines:
        columns = sum(2 if character in "漢字" else 1 for character in line)
        assert columns <= 62, line
    assert lines[1].endswith("KeyError1…")


def test_colours_are_for_terminals_that_want_them(
    shop: Shop, on_terminal: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in shop.said("list")
    on_terminal(80, 24)
    assert listing.styled("new", fg="red") == "\x1b[31mnew\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert listing.styled("new", fg="red") == "new"


def test_an_error_is_shown_as_by_its_mail(shop: Shop) -> None:
    shop.run("test")
    shown = shop.said("show", "5")
    assert shown.startswith("5 #")
    assert "This is a test of the error reports." in shown
    assert "Count:       once" in shown
    assert "Environment:" in shown
    assert "SelfTestError" in shown
    found = json.loads(shop.said("show", "5", "--json"))
    assert found["state"] == "resolved"
    assert found["samples"][0]["exceptions"][0]["type"].endswith("SelfTestError")
