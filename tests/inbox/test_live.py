"""The stream of events: what an open page learns, and what it costs. Raw ASGI, as of a server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from quartapp.database.dialect import database_now
from quartapp.errors import ErrorPages, admission
from quartapp.flasklike import App
from quartapp.inbox import Inbox
from quartapp.inbox.live import events, feed
from quartapp.inbox.live.feed import Feed
from quartapp.reporting import Reporting
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.queries import triage
from quartapp.reporting.tables import ErrorGroup
from tests.inbox.conftest import is_operator, make_app

Fields = dict[str, str]

SECONDS = 20
"""The longest wait. What is waited for takes a tenth of a second; a stream lasts 40 s by itself."""


class Stream:
    """An open stream: what was sent so far, as events."""

    def __init__(self, app: Any, query: str = "", last_id: str = "", operator: str = "1") -> None:
        headers = [(b"host", b"localhost"), (b"x-operator", operator.encode())]
        if last_id:
            headers.append((b"last-event-id", last_id.encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/errors/events",
            "raw_path": b"/errors/events",
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "extensions": {},
        }
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.is_ended = False
        self._left = asyncio.Event()
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message.get("body", b"")
            self.is_ended = not message.get("more_body", False)

    @property
    def events(self) -> list[Fields]:
        blocks = self.body.decode().split("\n\n")
        parsed = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks[1:-1]]
        return [event for event in parsed if "event" in event]

    def groups(self) -> list[dict[str, Any]]:
        return [json.loads(one["data"]) for one in self.events if one["event"] == "group"]

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition(self):  # noqa: ASYNC110 it may be of the log, too
                await asyncio.sleep(0.005)

    async def end(self) -> None:
        """Wait until the stream has ended."""
        await asyncio.wait([self.task], timeout=SECONDS)
        assert self.task.done()

    async def leave(self) -> None:
        self._left.set()
        await self.end()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL", 0.01)

    async def no_round(_: Pipeline) -> None:
        """Only `flush` counts: what is counted together is then the same on each machine."""

    monkeypatch.setattr(Pipeline, "count", no_round)


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[Any]:
    app.get("/boom/<name>")(boom)
    async with app.test_app():
        await app.extensions["reporting"].prepare()
        yield app


async def boom(name: str) -> str:
    raise type(name, (ValueError,), {})("boom")


async def fail(app: Any, name: str) -> None:
    await app.test_client().get(f"/boom/{name}")
    await app.extensions["reporting"].flush()


async def titles(app: Any) -> list[str]:
    """What was recorded."""
    pipeline = app.extensions["reporting"]
    await pipeline.flush()
    return [row[0] for row in await pipeline.database.read(select(ErrorGroup.title))]


def feed_of(app: Any) -> Feed:
    found: Feed = app.extensions["inbox"].feed
    return found


def tasks_of_feeds() -> list[Any]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "inbox feed"]


async def no_feed() -> None:
    """Wait until no task asks any more, which ends by itself after the last page."""
    async with asyncio.timeout(SECONDS):
        while tasks_of_feeds():  # noqa: ASYNC110 the task is what is waited for
            await asyncio.sleep(0.005)


@pytest.mark.slow
async def test_an_error_reaches_an_open_page(tmp_path: Path) -> None:
    async with serving(make_app(tmp_path)) as app:
        stream = Stream(app)
        await stream.until(lambda stream: stream.body)
        assert stream.headers[b"content-type"] == b"text/event-stream"
        assert stream.headers[b"x-accel-buffering"] == b"no"
        assert stream.headers[b"cache-control"] == b"no-store"
        assert stream.body.startswith(b"retry: 300\n\n")
        await fail(app, "First")
        await stream.until(lambda stream: stream.groups())
        [group] = stream.groups()
        assert group["title"].startswith("First in ")
        assert (group["count"], group["state"]) == ("1", "new")
        await fail(app, "First")
        await stream.until(lambda stream: len(stream.groups()) == 2)
        assert stream.groups()[1]["count"] == "2"
        await stream.leave()


async def test_errors_of_another_process_reach_the_page(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'errors.db'}"
    apps = []
    for name in ("one", "two"):
        app = App("shop", instance_path=str(tmp_path / name), static_folder=None)
        app.config |= {"SECRET_KEY": "k" * 40, "ERRORS_DATABASE_URL": url}
        Reporting(app)
        Inbox(app, allow=is_operator)
        apps.append(app)
    async with serving(apps[0]), serving(apps[1]):
        stream = Stream(apps[0])
        await stream.until(lambda stream: stream.body)
        await fail(apps[1], "Elsewhere")
        await stream.until(lambda stream: stream.groups())
        assert [one["title"].split()[0] for one in stream.groups()] == ["Elsewhere"]
        await stream.leave()


async def test_a_page_that_comes_back_has_missed_nothing(tmp_path: Path) -> None:
    async with serving(make_app(tmp_path)) as app:
        await fail(app, "Before")
        first = Stream(app, "since=0")
        await first.until(lambda stream: stream.groups())
        last_id = first.events[-1]["id"]
        await first.leave()
        await fail(app, "Meanwhile")
        second = Stream(app, "since=0", last_id=last_id)
        await second.until(lambda stream: "Meanwhile" in str(stream.groups()))
        assert {one["title"].split()[0] for one in second.groups()} <= {"Before", "Meanwhile"}
        await second.leave()
        await no_feed()


async def test_what_is_committed_late_is_not_missed(tmp_path: Path) -> None:
    """Another process began to count before this one, and commits after it."""
    async with serving(make_app(tmp_path)) as app:
        stream = Stream(app)
        await fail(app, "Fast")
        await stream.until(lambda stream: stream.groups())
        await fail(app, "Late")
        async with app.extensions["reporting"].database.begin() as session:
            earlier = ErrorGroup.changed_at - feed.OVERLAP / 2
            late = update(ErrorGroup).where(ErrorGroup.title.startswith("Late"))
            await session.execute(late.values(changed_at=earlier, count=7))
        await stream.until(lambda stream: '"count": "7"' in stream.body.decode())
        assert stream.groups()[-1]["title"].startswith("Late ")
        await stream.leave()


@pytest.mark.slow
async def test_what_is_old_and_occurs_or_is_resolved_reaches_the_page(tmp_path: Path) -> None:
    async with serving(make_app(tmp_path)) as app:
        database = app.extensions["reporting"].database

        async def age() -> None:
            old = update(ErrorGroup).where(ErrorGroup.id == 1)
            async with database.begin() as session:
                await session.execute(old.values(changed_at=ErrorGroup.changed_at - 7200))

        await fail(app, "Old")
        await age()
        await fail(app, "Newer")
        stream = Stream(app)
        await stream.until(lambda stream: stream.groups())
        assert [one["id"] for one in stream.groups()] == [2]
        await fail(app, "Old")
        await stream.until(lambda stream: "2" in [one["count"] for one in stream.groups()])
        await age()
        async with database.begin() as session:
            now = await database_now(session)
            await triage.decide(session, 1, triage.resolve(now), who="Ada", now=now)
        await stream.until(lambda stream: "resolved" in [one["state"] for one in stream.groups()])
        await stream.leave()


@pytest.mark.parametrize("query", ["since=nan", "since=1e999", "since=x", "since=-5", "since=%00"])
async def test_positions_may_be_anything(query: str, tmp_path: Path) -> None:
    async with serving(make_app(tmp_path)) as app:
        stream = Stream(app, query, last_id="0; DROP TABLE")
        await stream.until(lambda stream: stream.body)
        assert stream.status == 200
        await stream.leave()


@pytest.mark.slow
async def test_many_pages_ask_as_often_as_one(tmp_path: Path) -> None:
    async with serving(make_app(tmp_path)) as app:
        statements: list[str] = []
        streams = [Stream(app) for _ in range(10)]
        for stream in streams:
            await stream.until(lambda stream: stream.body)
        database = app.extensions["reporting"].database
        database.observe(lambda sql, seconds, rows: statements.append(sql))
        await fail(app, "Seen")
        for stream in streams:
            await stream.until(lambda stream: stream.groups())
        statements.clear()
        began = time.monotonic()
        await asyncio.sleep(0.2)
        asked = [sql for sql in statements if "changed_at" in sql]
        assert len(asked) <= (time.monotonic() - began) / feed.POLL + 1
        assert len(tasks_of_feeds()) == 1
        for stream in streams:
            await stream.leave()
        await no_feed()
        assert feed_of(app).pages == 0


async def test_too_many_pages_are_refused_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_PAGES", 1)
    async with serving(make_app(tmp_path)) as app:
        first = Stream(app)
        await first.until(lambda stream: stream.body)
        second = Stream(app)
        await second.end()
        assert second.status == 503
        assert await titles(app) == []
        await first.leave()
        third = Stream(app)
        await third.until(lambda stream: stream.body)
        await third.leave()


async def test_a_page_that_falls_behind_loads_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_AT_ONCE", 1)
    async with serving(make_app(tmp_path)) as app:
        stream = Stream(app)
        await stream.until(lambda stream: stream.body)
        for name in ("A", "B", "C"):
            await app.test_client().get(f"/boom/{name}")
        await app.extensions["reporting"].flush()
        await stream.until(lambda stream: stream.events)
        assert stream.events[0]["event"] == "resync"
        await stream.leave()
        again = Stream(app, "since=0")
        await again.until(lambda stream: stream.events)
        assert {one["event"] for one in again.events} == {"resync"}
        await again.leave()


async def test_a_feed_keeps_a_few_events(tmp_path: Path) -> None:
    async with serving(make_app(tmp_path)) as app:
        made = feed_of(app)
        some = [feed.Event("group", str(number), 0.0) for number in range(feed.KEPT)]
        made._add(some)
        assert list(made.after(0)) == some
        assert list(made.after(feed.KEPT - 2)) == some[-2:]
        made._add(some[:1])
        assert [event.kind for event in made.after(0)] == ["resync"]
        assert list(made.after(feed.KEPT)) == some[:1]
        assert list(made.after(made.number)) == []


@pytest.mark.slow
async def test_a_stream_ends_when_its_time_or_its_bytes_are_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(make_app(tmp_path)) as app:
        with monkeypatch.context() as short:
            short.setattr(events, "LIFE", 0.1)
            stream = Stream(app)
            await stream.end()
            assert stream.is_ended
        monkeypatch.setattr(events, "MOST_BYTES", 50)
        await fail(app, "Long")
        stream = Stream(app, "since=0")
        await stream.end()
        assert stream.is_ended
        assert len(stream.body) <= 64
        await no_feed()


async def test_what_stands_in_a_title_begins_no_event(tmp_path: Path) -> None:
    async with serving(make_app(tmp_path)) as app:
        await fail(app, "Named")
        async with app.extensions["reporting"].database.begin() as session:
            title = "x\n\nevent: overview\ndata: {}\n\n\u202e<script>"
            await session.execute(update(ErrorGroup).values(title=title))
        stream = Stream(app, "since=0")
        await stream.until(lambda stream: stream.groups())
        assert {one["event"] for one in stream.events} == {"group"}
        assert stream.groups()[0]["title"] == r"x event: overview data: {} \u202e<script>"
        await stream.leave()


async def test_streams_end_when_the_server_begins_to_stop(tmp_path: Path) -> None:
    async with serving(make_app(tmp_path)) as app:
        streams = [Stream(app), Stream(app, "of=overview")]
        for stream in streams:
            await stream.until(lambda stream: stream.body)
        app.begin_stop()
        for stream in streams:
            await stream.end()
            assert stream.is_ended
        refused = Stream(app)
        await refused.end()
        assert refused.status == 503
        assert await titles(app) == []


async def test_an_open_page_takes_no_place_of_the_admission(tmp_path: Path) -> None:
    app = App("shop", instance_path=str(tmp_path), static_folder=None)
    app.config["SECRET_KEY"] = "k" * 40
    ErrorPages(app, admission=True)
    admitting = app.asgi_app
    assert isinstance(admitting, admission.Admission)
    Reporting(app)
    Inbox(app, allow=is_operator)
    async with serving(app):
        stream = Stream(app)
        await stream.until(lambda stream: stream.body)
        assert (admitting._open, admitting._new) == (0, 0)
        await stream.leave()
        assert (admitting._open, admitting._new) == (0, 0)


async def test_the_overview_is_told_what_it_shows(tmp_path: Path) -> None:
    async with serving(make_app(tmp_path)) as app:
        await fail(app, "Counted")
        plain, full = Stream(app), Stream(app, "of=overview")
        await full.until(lambda stream: "overview" in [one["event"] for one in stream.events])
        texts = json.loads(full.events[-1]["data"])
        assert texts["rate"] == "0.2"
        assert texts["database state"] == "good"
        assert "overview" not in [one["event"] for one in plain.events]
        await plain.leave()
        await full.leave()


@pytest.mark.slow
async def test_a_database_that_is_away_ends_no_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(make_app(tmp_path)) as app:
        monkeypatch.setattr(feed, "_PAUSE", 0.01)
        stream = Stream(app)
        await stream.until(lambda stream: stream.body)
        with monkeypatch.context() as away:

            async def refuse(*_: object) -> None:
                raise OSError("no route to host")

            away.setattr(feed, "changed_since", refuse)
            await stream.until(lambda _: "get no news" in caplog.text)
            await asyncio.sleep(0.05)
        assert caplog.text.count("get no news") == 1
        await fail(app, "After")
        await stream.until(lambda stream: stream.groups())
        await stream.leave()


async def test_a_database_that_is_away_makes_no_error_of_each_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(make_app(tmp_path)) as app:
        with monkeypatch.context() as away:

            async def refuse(*_: object) -> None:
                raise OSError("no route to host")

            away.setattr(feed, "changed_since", refuse)
            stream = Stream(app, "since=0")
            await stream.end()
            assert stream.status == 503
        assert await titles(app) == []


async def test_others_find_no_stream(tmp_path: Path) -> None:
    async with serving(make_app(tmp_path)) as app:
        stream = Stream(app, operator="0")
        await stream.end()
        assert stream.status == 404
