"""Responses that are files: Flask sends each of them too, and both are compared."""

import asyncio
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import flask
import pytest
import werkzeug.utils
from werkzeug.exceptions import NotFound

from quartapp import flasklike
from quartapp.flasklike import App, Blueprint, static
from tests.flasklike.conftest import Serve
from tests.flasklike.servers import wait_for

LARGE = bytes(range(256)) * 4096  # a megabyte, which is streamed

MODIFIED = 1_700_000_000
BEFORE, AFTER = (datetime.fromtimestamp(MODIFIED + n, UTC) for n in (-60, 60))
HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A static folder, a file next to it, and files that must not be sent."""
    return filled(tmp_path)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for tests that change none of them."""
    return filled(tmp_path_factory.mktemp("files"))


def filled(parent: Path) -> Path:
    inside = parent / "static"
    (inside / "sub").mkdir(parents=True)
    contents = {
        "app.css": b"body { color: red }\n" * 50,
        "empty.txt": b"",
        "large.bin": LARGE,
        "list.tar.gz": b"\x1f\x8b",
        "nameless": b"?",
        "naïve name.txt": "ü".encode(),
        "sub/page.html": b"<p>",
        "../outside.txt": b"outside",
    }
    for name, content in contents.items():
        (inside / name).write_bytes(content)
        os.utime(inside / name, (MODIFIED, MODIFIED))
    (inside / "link.css").symlink_to("app.css")
    return inside


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both responses expire in the same second."""
    now = time.time()
    for module in (werkzeug.utils, static):
        monkeypatch.setattr(module, "time", lambda: now)


def make(kind: Any, folder: Path, **config: Any) -> Any:
    """An application of Flask or of flasklike with the same files."""
    names = flask if kind is flask.Flask else flasklike
    app = kind("files", static_folder=str(folder), root_path=str(folder.parent))
    blueprint = (flask.Blueprint if kind is flask.Flask else Blueprint)(
        "b", "files", static_folder=str(folder / "sub"), url_prefix="/b", root_path=str(folder)
    )
    app.register_blueprint(blueprint)
    app.config.update(config)
    seen: list[str] = []
    app.extensions["seen"] = seen

    def before() -> None:
        seen.append("before")

    def after(response: Any) -> Any:
        seen.append(f"after {response.status_code}")
        response.headers["X-After"] = "1"
        return response

    app.before_request(before)
    app.after_request(after)
    sent = {
        "relative": lambda: names.send_file("static/app.css"),
        "attached": lambda: names.send_file("static/list.tar.gz", as_attachment=True),
        "named": lambda: names.send_file("static/app.css", download_name='naïve "n".txt'),
        "typed": lambda: names.send_file(BytesIO(b"held"), "text/x-held", max_age=0),
        "in memory": lambda: names.send_file(BytesIO(b"0123456789"), download_name="a.txt"),
        "opened": lambda: names.send_file((folder / "large.bin").open("rb"), "a/b"),
        "tagged": lambda: names.send_file("static/app.css", etag="mine", last_modified=MODIFIED),
        "untagged": lambda: names.send_file("static/app.css", etag=False, conditional=False),
        "aged": lambda: names.send_file("static/app.css", max_age=lambda path: len(path or "") * 0),
        "missing": lambda: names.send_file("static/missing"),
        "text": lambda: names.send_file(StringIO("text"), "text/css"),
        "typeless": lambda: names.send_file(BytesIO(b"?")),
        "below": lambda: names.send_from_directory("static", "sub/page.html", as_attachment=True),
        "above": lambda: names.send_from_directory("static", "../outside.txt"),
    }
    for name, view in sent.items():
        app.add_url_rule(f"/{name}", endpoint=name, view_func=as_view(kind, view))
    return app


def as_view(kind: Any, view: Any) -> Any:
    if kind is flask.Flask:
        return view

    async def awaited() -> Any:
        return await view()

    return awaited


def comparable(status: int, headers: Any, body: bytes, seen: list[str]) -> Any:
    fields = {name.lower(): value for name, value in headers if name != "Date"}
    return status, fields, body, seen


@cache
def made_with_flask(folder: Path, **config: Any) -> Any:
    return make(flask.Flask, folder, **config)


def by_flask(folder: Path, path: str, method: str, headers: dict[str, str], **config: Any) -> Any:
    app = made_with_flask(folder, **config)
    app.extensions["seen"].clear()
    with app.test_client().open(path, method=method, headers=headers) as answer:
        seen = [*app.extensions["seen"]]
        return comparable(answer.status_code, answer.headers, answer.data, seen)


async def by_us(app: Any, path: str, method: str, headers: dict[str, str]) -> Any:
    app.extensions["seen"].clear()
    answer: Any = await app.test_client().open(path, method=method, headers=headers)
    body = await answer.get_data()
    return comparable(answer.status_code, answer.headers, body, list(app.extensions["seen"]))


def etag_of(folder: Path) -> str:
    return str(by_flask(folder, "/static/app.css", "GET", {})[1]["etag"])


PATHS = (
    "/static/app.css",
    "/static/empty.txt",
    "/static/large.bin",
    "/static/link.css",
    "/static/list.tar.gz",
    "/static/nameless",
    "/static/na%C3%AFve%20name.txt",
    "/static/sub/page.html",
    "/static/sub",
    "/static/sub/",
    "/static/",
    "/static/missing.css",
    "/static/../outside.txt",
    "/static/..%2foutside.txt",
    "/static/sub/../../outside.txt",
    "/static//app.css",
    "/static/app.css%00",
    "/b/sub/page.html",
    "/b/sub/../app.css",
    "/b/sub/missing",
    "/relative",
    "/attached",
    "/named",
    "/typed",
    "/in memory",
    "/opened",
    "/tagged",
    "/untagged",
    "/aged",
    "/missing",
    "/text",
    "/typeless",
    "/below",
    "/above",
)

RANGES = (
    "bytes=0-9",
    "bytes=5-",
    "bytes=-5",
    "bytes=0-99999999",
    "bytes=99999999-",
    "bytes=9-5",
    "bytes=0-0,5-6",
    "bytes=0-0",
    "items=0-9",
    "nonsense",
)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize("path", PATHS)
async def test_each_file_is_answered_as_flask_answers_it(
    files: Path, path: str, method: str
) -> None:
    expected = by_flask(files, path, method, {})
    app = make(App, files)
    # Twice: the second response may come from the cache.
    assert await by_us(app, path, method, {}) == expected
    assert await by_us(app, path, method, {}) == expected


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("value", RANGES)
@pytest.mark.parametrize("path", ["/static/app.css", "/static/large.bin", "/in memory"])
async def test_ranges_are_answered_as_flask_answers_them(
    files: Path, path: str, value: str, method: str
) -> None:
    headers = {"Range": value}
    app = make(App, files)
    await by_us(app, path, "GET", {})
    assert await by_us(app, path, method, headers) == by_flask(files, path, method, headers)


CONDITIONS: dict[str, dict[str, str]] = {
    "same tag": {"If-None-Match": "ETAG"},
    "weak tag": {"If-None-Match": "W/ETAG"},
    "one of the tags": {"If-None-Match": '"other", ETAG'},
    "any tag": {"If-None-Match": "*"},
    "another tag": {"If-None-Match": '"other"'},
    "since before": {"If-Modified-Since": BEFORE.strftime(HTTP_DATE)},
    "since after": {"If-Modified-Since": AFTER.strftime(HTTP_DATE)},
    "no date": {"If-Modified-Since": "yesterday"},
    "tag and date": {"If-None-Match": '"o"', "If-Modified-Since": AFTER.strftime(HTTP_DATE)},
    "must match": {"If-Match": "ETAG"},
    "must match another": {"If-Match": '"other"'},
    "range of the same": {"Range": "bytes=2-5", "If-Range": "ETAG"},
    "range of another": {"Range": "bytes=2-5", "If-Range": '"other"'},
    "range since after": {"Range": "bytes=2-5", "If-Range": AFTER.strftime(HTTP_DATE)},
    "range since before": {"Range": "bytes=2-5", "If-Range": BEFORE.strftime(HTTP_DATE)},
    "range and tag": {"Range": "bytes=2-5", "If-None-Match": "ETAG"},
    "if-range alone": {"If-Range": '"other"'},
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "new"])
async def test_conditions_are_judged_as_flask_judges_them(
    files: Path, name: str, method: str, is_kept: bool
) -> None:
    etag = etag_of(files)
    headers = {key: value.replace("ETAG", etag) for key, value in CONDITIONS[name].items()}
    app = make(App, files)
    if is_kept:
        await keep(app, files)
    assert await by_us(app, "/static/app.css", method, headers) == by_flask(
        files, "/static/app.css", method, headers
    )


@pytest.mark.parametrize("age", [None, 0, 60, timedelta(hours=1)])
async def test_the_age_is_the_configurations(folder: Path, age: Any) -> None:
    expected = by_flask(folder, "/static/app.css", "GET", {}, SEND_FILE_MAX_AGE_DEFAULT=age)
    app = make(App, folder, SEND_FILE_MAX_AGE_DEFAULT=age)
    await keep(app, folder)
    for path in ("/static/app.css", "/static/app.css", "/relative"):
        answer = await by_us(app, path, "GET", {})
        for field in ("cache-control",):
            assert answer[1].get(field) == expected[1].get(field)
        assert ("expires" in answer[1]) is ("expires" in expected[1])


async def test_an_age_counts_from_the_request(folder: Path, monkeypatch: Any) -> None:
    app = make(App, folder, SEND_FILE_MAX_AGE_DEFAULT=60)
    await keep(app, folder)
    monkeypatch.setattr(static, "time", lambda: MODIFIED)
    _, headers, *_ = await by_us(app, "/static/app.css", "GET", {})
    assert headers["expires"] == AFTER.strftime(HTTP_DATE)


async def test_an_application_may_give_each_file_an_age(folder: Path) -> None:
    class Aging(App):
        def get_send_file_max_age(self, filename: str | None) -> int | None:
            return 7 if filename == "app.css" else None

    app = make(Aging, folder)
    assert (await by_us(app, "/static/app.css", "GET", {}))[1]["cache-control"].endswith("=7")
    assert "max-age" not in (await by_us(app, "/static/nameless", "GET", {}))[1]["cache-control"]


async def test_without_a_folder_there_are_no_static_files() -> None:
    app = App("bare", static_folder=None)
    with pytest.raises(RuntimeError, match="'static_folder' must be set"):
        await app.send_static_file("app.css")


async def keep(app: Any, folder: Path) -> None:
    """Make the application cache app.css, which it does only with an older file."""
    await by_us(app, "/static/app.css", "GET", {})
    assert app._static_cache.files, "the file is too young"


@pytest.fixture(autouse=True)
def no_file_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "_TICK_NS", 0)


async def test_a_kept_file_is_not_read_again(folder: Path, monkeypatch: Any) -> None:
    app = make(App, folder)
    first = await by_us(app, "/static/app.css", "GET", {})

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was read again")

    monkeypatch.setattr(werkzeug.utils, "send_from_directory", fail)
    assert await by_us(app, "/static/app.css", "GET", {}) == first


@pytest.mark.parametrize("how", ["content", "same length and time", "replaced", "gone"])
async def test_a_changed_file_is_seen_at_once(folder: Path, how: str) -> None:
    app = make(App, folder)
    await keep(app, folder)
    file = folder / "app.css"
    old = file.read_bytes()
    await asyncio.sleep(0.02)  # more than a tick of the file system's clock
    new = old.replace(b"red", b"tan") if how != "content" else b"new"
    if how == "gone":
        file.unlink()
        assert (await by_us(app, "/static/app.css", "GET", {}))[0] == 404
        return
    if how == "replaced":
        (folder / "other").write_bytes(new)
        os.utime(folder / "other", (MODIFIED, MODIFIED))
        (folder / "other").replace(file)
    else:
        file.write_bytes(new)
    if how == "same length and time":
        os.utime(file, (MODIFIED, MODIFIED))
    assert (await by_us(app, "/static/app.css", "GET", {}))[2] == new


async def test_a_file_that_has_just_changed_is_not_kept(folder: Path, monkeypatch: Any) -> None:
    """It could change again within the same tick of the file system's clock, unnoticed."""
    monkeypatch.setattr(static, "_TICK_NS", 2_000_000_000)
    app = make(App, folder)
    (folder / "app.css").write_bytes(b"one")
    await by_us(app, "/static/app.css", "GET", {})
    assert not app._static_cache.files


async def test_a_file_that_nobody_asked_for_lately_is_read_in_a_thread(
    folder: Path, monkeypatch: Any
) -> None:
    app = make(App, folder)
    await keep(app, folder)
    now = time.monotonic()
    monkeypatch.setattr(static, "monotonic", lambda: now + 11)

    def fail(path: str) -> Any:
        raise AssertionError("asked on the event loop")

    monkeypatch.setattr(static, "_stamp", fail)
    assert app._static_cache.find((app.static_folder, "app.css", None)) is None


async def test_the_memory_for_files_is_bounded(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(static, "MOST_CACHED", 2_500)
    app = make(App, folder)
    for number in range(5):
        (folder / f"{number}.txt").write_bytes(b"." * 1000)
        await by_us(app, f"/static/{number}.txt", "GET", {})
    await by_us(app, "/static/large.bin", "GET", {})
    assert [key[1] for key in app._static_cache.files] == ["3.txt", "4.txt"]
    assert app._static_cache.size == 2000


async def test_what_a_hook_adds_does_not_stay(folder: Path) -> None:
    app = make(App, folder)
    await keep(app, folder)
    await by_us(app, "/static/app.css", "GET", {})
    (kept,) = app._static_cache.files.values()
    assert "X-After" not in dict(kept.headers)


def open_files(path: Path) -> int:
    links = [Path("/proc/self/fd") / each for each in os.listdir("/proc/self/fd")]
    return sum(link.is_symlink() and os.path.realpath(link) == str(path) for link in links)


@pytest.mark.slow
async def test_a_large_file_is_streamed_and_closed(folder: Path, serve: Serve) -> None:
    app = make(App, folder)
    async with serve(app) as server:
        answer = await server.get("/static/large.bin")
        assert (answer.whole, answer.body) == (True, LARGE)
        await server.get("/static/large.bin", "HEAD")
        await until_closed(folder / "large.bin")


@pytest.mark.slow
async def test_a_client_that_leaves_closes_the_file(folder: Path, serve: Serve) -> None:
    await asyncio.to_thread((folder / "large.bin").write_bytes, LARGE * 30)
    app = make(App, folder)
    async with serve(app) as server:
        _, writer = await server.connect()
        writer.write(b"GET /static/large.bin HTTP/1.1\r\nHost: t\r\n\r\n")
        await wait_for(lambda: open_files(folder / "large.bin"))
        writer.close()
        await until_closed(folder / "large.bin")
        assert open_files(folder / "large.bin") == 0


@pytest.mark.parametrize("how", ["path", "file object"])
async def test_a_request_cancelled_while_the_file_is_opened_closes_it(
    folder: Path, how: str
) -> None:
    path = folder / "large.bin"
    given: Any = path if how == "path" else path.open("rb")
    opened, go_on = threading.Event(), threading.Event()

    def hold(_: str | None) -> None:  # Werkzeug asks for the age once the file is open
        opened.set()
        go_on.wait(60)

    async with make(App, folder).test_request_context("/"):
        sending = asyncio.create_task(
            flasklike.send_file(given, mimetype="image/png", max_age=hold)
        )
        await asyncio.to_thread(opened.wait, 60)
        assert open_files(path) == 1
        sending.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert open_files(path) == 0


@pytest.mark.slow
@pytest.mark.parametrize("where", ["after_request", "teardown_request"])
async def test_a_request_cancelled_before_its_answer_is_sent_closes_the_file(
    folder: Path, serve: Serve, where: str
) -> None:
    app = App("files")
    begun, go_on = threading.Event(), threading.Event()
    files: list[Any] = []

    @app.get("/file")
    async def view() -> Any:
        files.append((folder / "large.bin").open("rb"))
        return await flasklike.send_file(files[0], mimetype="image/png")

    def hold(response: Any) -> Any:
        begun.set()
        go_on.wait(60)
        return response

    getattr(app, where)(hold)
    async with serve(app) as server:
        _, writer = await server.connect()
        writer.write(b"GET /file HTTP/1.1\r\nHost: t\r\n\r\n")
        await asyncio.to_thread(begun.wait, 60)
        writer.close()
        await wait_for(lambda: any(task.cancelling() for task in asyncio.all_tasks()))
        go_on.set()
        await wait_for(lambda: files[0].closed)
        assert open_files(folder / "large.bin") == 0


async def until_closed(path: Path) -> None:
    await wait_for(lambda: not open_files(path))


async def test_a_file_that_grows_is_sent_as_announced(folder: Path) -> None:
    """A log may grow while it is sent: more than Content-Length would break the connection."""
    file = folder / "large.bin"
    app = make(App, folder)

    async def grow(response: Any) -> Any:
        with file.open("ab") as log:
            log.write(b"more")
        return response

    app.after_request(grow)
    _, headers, body, _ = await by_us(app, "/static/large.bin", "GET", {})
    assert (headers["content-length"], body == LARGE) == (str(len(LARGE)), True)


async def test_a_large_file_is_never_in_memory_as_a_whole(folder: Path) -> None:
    app = make(App, folder)
    async with app.test_request_context("/static/large.bin"):
        response = await app.send_static_file("large.bin")
        async with response.response as parts:
            sizes = [len(part) async for part in parts]
        await response.close()
    assert (max(sizes), sum(sizes)) == (64 * 1024, len(LARGE))


async def test_a_file_is_read_without_blocking_the_loop(folder: Path, monkeypatch: Any) -> None:
    reading = asyncio.get_running_loop()

    def look(*_: Any, **__: Any) -> Any:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        assert reading.is_running()
        raise NotFound

    monkeypatch.setattr(werkzeug.utils, "send_from_directory", look)
    assert (await by_us(make(App, folder), "/static/app.css", "GET", {}))[0] == 404
