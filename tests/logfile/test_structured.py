"""Log lines as JSON: one valid object a line, whatever is logged."""

import asyncio
import io
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.logfile import LogFile
from quartapp.logfile.handler import ThreadedHandler
from quartapp.logfile.structured import MAX_LINE, JsonFormatter
from quartapp.reporting import Reporting
from quartapp.request_ids import RequestIds, request_id
from quartapp.settings import ConfigurationError

SECRET = "hunter2-canary"


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    yield
    logger = logging.getLogger("till")
    for one in logger.handlers[:]:
        if isinstance(one, ThreadedHandler):
            one.close()
            logger.removeHandler(one)


def make(kind: type[Quart] = App, **config: Any) -> Quart:
    logging.root.handlers = []  # those of pytest
    app = kind("till")
    app.config.update({"LOG_FORMAT": "json", "STRIPE_API_KEY": SECRET} | config)
    LogFile(app)
    RequestIds(app)
    return app


def lines(name: str = "till") -> list[dict[str, Any]]:
    """The objects in the log, of which each line is one."""
    for one in logging.getLogger("till").handlers:
        one.flush()
    data = Path("logs", f"{name}.log").read_bytes()
    assert data.isascii()
    assert data.endswith(b"\n")
    assert max(map(len, data.split(b"\n"))) <= MAX_LINE
    assert SECRET.encode() not in data
    return [json.loads(line) for line in data.splitlines()]


def formatted(message: object, *args: object, **more: Any) -> dict[str, Any]:
    """What is written of a record that nobody has cleaned."""
    record = logging.LogRecord("till", logging.INFO, "/app.py", 7, message, args, None)
    record.__dict__.update(more)
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert len(line) <= MAX_LINE
    assert not set(line) & set("\n\r\x00\x1b")
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("kind", [Quart, App])
async def test_a_line_of_a_request(kind: type[Quart]) -> None:
    app = make(kind)

    @app.get("/orders/<int:number>")
    async def order(number: int) -> str:
        app.logger.warning(
            "sold %d with %s", number, SECRET, extra={"number": number, "note": f"a {SECRET}"}
        )
        return request_id()

    async with app.test_app():
        response = await app.test_client().get("/orders/7")
        app.logger.info("outside")
        _, line, outside = lines()
    location, moment = line.pop("location"), line.pop("time")
    for name in ("trace_id", "span_id", "process"):
        assert line.pop(name)
    assert line == {
        "level": "WARNING",
        "logger": "till",
        "message": "sold 7 with [hidden]",
        "request_id": await response.get_data(as_text=True),
        "method": "GET",
        "route": "/orders/<int:number>",
        "extra": {"number": 7, "note": "a [hidden]"},
    }
    assert location.startswith(f"{__file__}:")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)
    assert not {"request_id", "trace_id", "method", "route"} & outside.keys()


async def test_an_error_has_its_reference_and_its_parts(tmp_path: Path) -> None:
    app = make(INSTANCE=str(tmp_path))
    ErrorPages(app)
    Reporting(app, database=None)

    @app.get("/boom")
    async def boom() -> str:
        raise ValueError(f"two\nlines of {SECRET}")

    async with app.test_app():
        response = await app.test_client().get("/boom", headers={"Accept": "text/html"})
        page = await response.get_data(as_text=True)
        line = next(each for each in lines() if each["level"] == "ERROR")
    assert line["reference"] in page
    assert line["request_id"] == response.headers["X-Request-ID"]
    error = line["exception"]
    assert (error["type"], error["message"]) == ("ValueError", "two\nlines of [hidden]")
    assert error["stack"].startswith("Traceback (most recent call last):\n")


async def test_threads_tasks_and_libraries() -> None:
    app = make()

    @app.get("/")
    async def index() -> str:
        async def later() -> None:
            app.logger.info("background")

        app.add_background_task(later)
        await asyncio.to_thread(app.logger.info, "to_thread")
        thread = threading.Thread(target=app.logger.info, args=("thread",))
        thread.start()
        await asyncio.to_thread(thread.join)
        for name in ("some.library", "hypercorn.error", "uvicorn.error", "asyncio", "alembic"):
            logging.getLogger(name).warning("of %s, with %s", name, SECRET)
        return request_id()

    async with app.test_app():
        found = await (await app.test_client().get("/")).get_data(as_text=True)
        by_message = {line["message"].partition(",")[0]: line for line in lines()}
    for message in ("background", "to_thread", "of hypercorn.error", "of asyncio", "of alembic"):
        assert by_message[message]["request_id"] == found
    assert "request_id" not in by_message["thread"], "a plain thread has no context of the request"
    assert {"of some.library", "of uvicorn.error"} <= by_message.keys()


async def test_the_servers_own_handlers_print_nothing() -> None:
    app, own = make(), io.StringIO()
    server = logging.getLogger("hypercorn.error")
    handler = logging.StreamHandler(own)
    server.addHandler(handler)
    try:
        async with app.test_app():
            server.error("once")
            assert [line["logger"] for line in lines()].count("hypercorn.error") == 1
            assert own.getvalue() == ""
        server.error("after the end")
        assert own.getvalue() == "after the end\n"
    finally:
        server.removeHandler(handler)


async def test_what_is_logged_badly() -> None:
    extra = {
        "password": "hunter3",
        "broken": Broken(),
        "nan": float("nan"),
        "huge": 10**5000,
        "nested": {"token": "hunter3", "list": [1, Broken()]},
        "text": "a\u2028b\x00\x1b\ud800\x85c" + "x y " * 1000,
        "level": "mine",
        "request_id": "mine",
        "nothing": None,
        "yes": True,
        "half": 0.5,
        "\xe9" * 500: 1,
    } | {f"more{number}": number for number in range(50)}
    app = make()
    async with app.test_app():
        logger = logging.getLogger("till")
        logger.handlers[:] = [one for one in logger.handlers if isinstance(one, ThreadedHandler)]
        app.logger.info("%s", Broken())
        app.logger.info("wrong %s %s", 1)
        app.logger.info("big %s", "no secret " * 100_000)
        app.logger.info("\U0001f600" * 1_000_000)
        app.logger.info("extra", extra=extra)
        app.logger.info("stack", stack_info=True)
        _, broken, wrong, big, smile, more, stack = lines()
    assert broken["message"] == f"<{__name__}.Broken>"
    assert wrong["message"].startswith("wrong %s %s")
    assert big["message"].startswith("big no secret")
    assert "\u2026" in smile["message"]
    assert (more["level"], "request_id" in more) == ("INFO", False)
    found = more["extra"]
    assert (found["level"], found["request_id"]) == ("mine", "mine")
    assert (found["nothing"], found["yes"], found["half"]) == (None, True, 0.5)
    assert found["password"] == "[hidden]"
    assert "hunter3" not in json.dumps(found)
    assert (found["nan"], found["broken"]) == ("nan", f"<{__name__}.Broken>")
    assert len(found) == 20
    assert stack["stack"].startswith("Stack (most recent call last):")


def test_the_formatter_alone_is_as_safe() -> None:
    """An application's own `clean` may leave a record as it was."""
    assert formatted("%s", Broken())["message"]
    assert formatted("%s %s", 1)["message"].startswith("%s %s")
    assert formatted("\U0001f600" * 100_000)["message"].count("\u2026") == 1
    assert formatted("a", error_reference=Broken)["reference"]
    assert formatted("a", thing=Broken(), password="x y z")["extra"]["password"] == "[hidden]"
    try:
        raise ValueError("b" * 100_000)
    except ValueError:
        record = logging.LogRecord("till", 40, "/a.py", 1, "c", (), sys.exc_info())
    line = JsonFormatter().format(record)
    assert len(line) <= MAX_LINE
    assert json.loads(line)["exception"]["stack"].startswith("Traceback")


def test_an_uncaught_exception_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    make()
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["exception"]["message"] == "[hidden]"


def test_another_format_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="LOG_FORMAT: expected 'text' or 'json'"):
        make(LOG_FORMAT="xml")
