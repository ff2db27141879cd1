"""A file of plain Flask views, on Flask and, with its import changed, on flasklike."""

import asyncio
import gc
import inspect
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from quart.datastructures import FileStorage

from tests.system.parity import flask_views
from tests.system.parity.mutants_threads import VIEW_FILE_MUTANTS

KEYS = ("form", "json", "data")
IGNORED = {"date", "content-length", "server"}


@pytest.fixture
def ported() -> ModuleType:
    """The module, in which only the line of the import is another."""
    source = inspect.getsource(flask_views)
    assert source.count("from flask import (") == 1
    changed = source.replace("from flask import (", "from quartapp.flasklike import (")
    module = ModuleType(flask_views.__name__)
    module.__file__ = flask_views.__file__
    exec(compile(changed, flask_views.__file__, "exec"), vars(module))
    return module


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/blog/", {}),
    ("GET", "/blog/login?name=typed", {}),
    ("POST", "/blog/create", {"form": {"title": "refused"}}),
    ("POST", "/blog/login", {"form": {"name": ""}}),
    ("POST", "/blog/login", {"form": {"name": "susan"}}),
    ("GET", "/blog/login", {}),
    ("POST", "/blog/create", {"form": {"title": "third"}}),
    ("GET", "/blog/", {}),
    ("POST", "/blog/create", {"form": {}}),
    ("POST", "/blog/api", {"json": {"a": [1, None, "ü"]}}),
    ("POST", "/blog/api", {"data": b"{", "type": "application/json"}),
    ("POST", "/blog/api", {"data": b"{}", "type": "text/plain"}),
    ("POST", "/blog/raw", {"data": "text ü".encode(), "type": "text/plain"}),
    ("POST", "/blog/values?a=1", {"form": {"b": "2"}}),
    ("POST", "/blog/upload", {"file": ("up.txt", b"uploaded")}),
    ("GET", "/blog/file", {}),
    ("GET", "/blog/static", {}),
    ("GET", "/blog/made", {}),
    ("GET", "/blog/stream?name=x", {}),
    ("GET", "/blog/stream-template", {}),
    ("GET", "/blog/stream-string?name=x", {}),
    ("GET", "/blog/copied", {}),
    ("GET", "/blog/messages", {}),
    ("GET", "/blog/missing", {}),
    ("POST", "/blog/key", {"form": {"a": "1"}}),
    ("GET", "/blog/error", {}),
    ("GET", "/elsewhere", {}),
    ("PUT", "/blog/made", {}),
]


def settings(folder: Path) -> tuple[Path, Path]:
    uploads = folder / "uploads"
    uploads.mkdir(parents=True)
    (uploads / "kept.txt").write_text("kept")
    return folder / "db", uploads


def described(status: int, headers: Any, body: bytes, cookies: Any) -> Any:
    fields = sorted(
        (name.lower(), value)
        for name, value in headers
        if name.lower() not in {*IGNORED, "last-modified", "etag", "expires", "set-cookie"}
    )
    return status, fields, body.decode(), cookies


def on_flask(folder: Path) -> tuple[list[Any], Any]:
    app = flask_views.create_app(*settings(folder))
    client = app.test_client()
    answers = []
    for method, path, given in REQUESTS:
        options: dict[str, Any] = {"data": given.get("data", given.get("form"))}
        if "json" in given:
            options = {"json": given["json"]}
        if "file" in given:
            name, content = given["file"]
            options = {"data": {"file": (BytesIO(content), name)}}
        if "type" in given:
            options["content_type"] = given["type"]
        response = client.open(path, method=method, **options)
        cookie = client.get_cookie("session")
        answers.append(
            described(
                response.status_code, response.headers, response.data, cookie and cookie.value[:20]
            )
        )
        response.close()
    return answers, app.config["CLOSED"]


async def on_flasklike(app: Any) -> tuple[list[Any], Any]:
    client = app.test_client()
    answers = []
    for method, path, given in REQUESTS:
        options: dict[str, Any] = {key: given[key] for key in KEYS if key in given}
        if "file" in given:
            name, content = given["file"]
            options = {"files": {"file": FileStorage(BytesIO(content), name)}}
        if "type" in given:
            options["headers"] = {"Content-Type": given["type"]}
        response = await client.open(path, method=method, **options)
        cookie = next((each for each in client.cookie_jar if each.name == "session"), None)
        answers.append(
            described(
                response.status_code,
                response.headers,
                await response.get_data(as_text=False),
                cookie and cookie.value[:20],
            )
        )
    return answers, app.config["CLOSED"]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("rule", VIEW_FILE_MUTANTS)
def test_the_file_shows_when_it_does_not_hold_that(
    rule: str, ported: ModuleType, tmp_path: Path
) -> None:
    expected, closed = on_flask(tmp_path / "flask")
    vars(ported)["Flask"] = VIEW_FILE_MUTANTS[rule]
    app = ported.create_app(*settings(tmp_path / "flasklike"))
    got: Any
    try:
        got = asyncio.run(on_flasklike(app))
    except Exception as error:  # noqa: BLE001  # it left the client, which is a difference too
        got = error.args
    gc.collect()  # of coroutines that nobody awaited, and connections that nobody closed
    assert got != (expected, closed)


def test_a_file_of_flask_views_runs_with_its_import_changed(
    ported: ModuleType, tmp_path: Path
) -> None:
    expected, closed = on_flask(tmp_path / "flask")
    app = ported.create_app(*settings(tmp_path / "flasklike"))
    got, closed_too = asyncio.run(on_flasklike(app))
    for (method, path, _), theirs, ours in zip(REQUESTS, expected, got, strict=True):
        assert (method, path, ours) == (method, path, theirs)
    assert closed_too == closed
    assert all(in_one_thread for in_one_thread, _ in closed)
