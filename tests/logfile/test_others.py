"""What libraries and servers log is printed without secrets, and once."""

import io
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from quartapp.logfile import record
from tests.shop.app import create_app

SECRET = "hunter2-canary"
SERVERS = ("hypercorn.error", "uvicorn.error")

Start: TypeAlias = Callable[[], Callable[[], str]]


@pytest.fixture
def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Start:
    """Create an application as outside of pytest, whose handlers the root logger has until then.

    Returns a function that returns what was printed.
    """

    def create() -> Callable[[], str]:
        monkeypatch.setattr(logging.root, "handlers", [])
        for name in SERVERS:
            monkeypatch.setattr(logging.getLogger(name), "filters", [])
            monkeypatch.setattr(logging.getLogger(name), "handlers", [])
        monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
        app = create_app(tmp_path, "sqlite://", name="others")

        def printed() -> str:
            for handler in logging.getLogger(app.name).handlers:
                handler.flush()
            return capsys.readouterr().err

        return printed

    return create


def fail() -> None:
    password = SECRET
    raise ValueError(f"cannot use {password}")


def test_a_library_is_cleaned(start: Start) -> None:
    printed = start()
    library = logging.getLogger("some.library")
    library.warning("connecting with password=%s", SECRET)
    try:
        fail()
    except ValueError:
        library.exception("no connection")
    text = printed()
    assert text.count("WARNING in some.library: connecting with password=[hidden]") == 1
    assert "ValueError: cannot use [hidden]" in text
    assert SECRET not in text


def test_what_is_below_a_warning_is_not_printed(start: Start) -> None:
    printed = start()
    logging.getLogger("some.library").info("chatter")
    assert printed() == ""


@pytest.mark.parametrize("name", SERVERS)
async def test_a_server_that_prints_itself_is_cleaned_and_not_printed_twice(
    start: Start, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    printed = start()
    app = create_app(tmp_path, f"sqlite:///{tmp_path / 'x.db'}", name="others")
    stream = io.StringIO()
    server = logging.getLogger(name)
    monkeypatch.setattr(server, "handlers", [logging.StreamHandler(stream)])
    async with app.test_app():
        try:
            fail()
        except ValueError:
            server.exception("Error in ASGI Framework, token=%s", SECRET)
    text = stream.getvalue()
    assert "Error in ASGI Framework, token=[hidden]" in text
    assert "ValueError: cannot use [hidden]" in text
    assert SECRET not in text
    assert "ASGI" not in printed()
    assert server.filters == [], "no application serves any more"


def test_who_attached_a_handler_to_the_root_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = logging.NullHandler()
    monkeypatch.setattr(logging.root, "handlers", [own])
    create_app(tmp_path, "sqlite://", name="others")
    assert logging.root.handlers == [own]


def test_the_newest_application_replaces_the_one_before(start: Start, tmp_path: Path) -> None:
    start()
    create_app(tmp_path, "sqlite://", name="others")
    assert len(logging.root.handlers) == 1


def test_the_exception_that_ends_a_command_is_cleaned(start: Start, tmp_path: Path) -> None:
    printed = start()
    create_app(tmp_path, "sqlite://", name="others")
    try:
        fail()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    text = printed()
    assert "Traceback (most recent call last)" in text
    assert text.endswith("ValueError: cannot use [hidden]\n")
    assert SECRET not in text


def test_an_exception_hook_of_others_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def own(*_: object) -> None:
        return None

    monkeypatch.setattr(sys, "excepthook", own)
    create_app(tmp_path, "sqlite://", name="others")
    assert sys.excepthook is own


def test_an_exception_whose_traceback_cannot_be_read_is_named(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = start()
    monkeypatch.setattr(record, "ExceptionReading", None)
    sys.excepthook(ValueError, ValueError(SECRET), None)
    assert printed() == "ValueError, whose traceback raised TypeError\n"
