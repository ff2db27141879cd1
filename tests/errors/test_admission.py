"""Admission: a limit, a queue, and an immediate refusal beyond both; less under delay."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from quartapp.errors import admission
from quartapp.errors.admission import Admission
from quartapp.errors.settings import AdmissionSettings
from quartapp.flasklike import App
from tests.shop.app import create_app, create_tables


class Work:
    """An application whose requests end when the test lets them."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.go_on = asyncio.Semaphore(0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.order.append(scope["path"])
        await self.go_on.acquire()
        await send({"type": "http.response.start", "status": 200, "headers": []})


def limited(app: Any, limit: int, queue: int, **more: float) -> Admission:
    return Admission(app, AdmissionSettings(request_limit=limit, request_queue=queue, **more))


def start(app: Any, path: str) -> tuple[asyncio.Task[None], list[Any]]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "http_version": "1.1", "path": path, "method": "GET", "headers": []}
    return asyncio.create_task(app(scope, None, send)), sent


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_requests_beyond_the_queue_are_refused_at_once() -> None:
    work = Work()
    app = limited(work, 1, 1)
    first, second, third = (start(app, f"/{number}") for number in range(3))
    await settle()
    assert third[0].done()
    assert third[1][0]["status"] == 503
    assert dict(third[1][0]["headers"])[b"retry-after"] == b"5"
    assert work.order == ["/0"]
    assert (app.admitted, app.queued, app.waiting, app.refused) == (1, 1, 1, 1)
    work.go_on.release()
    work.go_on.release()
    await asyncio.gather(first[0], second[0])
    assert work.order == ["/0", "/1"]
    assert (app.admitted, app.queued, app.waiting, app.refused) == (2, 1, 0, 1)


async def test_the_queue_is_served_in_order_and_its_places_are_free_again() -> None:
    work = Work()
    app = limited(work, 2, 8)
    for _ in range(2):
        tasks = [start(app, f"/{number}")[0] for number in range(8)]
        for _ in range(8):
            work.go_on.release()
        await asyncio.gather(*tasks)
    assert work.order == [f"/{number}" for number in range(8)] * 2
    assert (app._open, app._new) == (0, 0)


async def test_who_is_cancelled_while_waiting_leaves_the_queue() -> None:
    work = Work()
    app = limited(work, 1, 1)
    first, waiting = start(app, "/0")[0], start(app, "/1")[0]
    await settle()
    waiting.cancel()
    await settle()
    last = start(app, "/2")[0]
    work.go_on.release()
    work.go_on.release()
    await asyncio.gather(first, last)
    assert work.order == ["/0", "/2"]


async def test_a_turn_that_comes_to_someone_cancelled_goes_on_to_the_next() -> None:
    work = Work()
    app = limited(work, 1, 2)

    async def end_and_cancel(*arguments: Any) -> None:
        await app(*arguments)
        waiting.cancel()

    first = start(end_and_cancel, "/0")[0]
    await settle()
    waiting, last = (start(app, f"/{number}")[0] for number in (1, 2))
    await settle()
    for _ in range(3):
        work.go_on.release()
    await asyncio.wait_for(asyncio.gather(first, last), 60)
    assert work.order == ["/0", "/2"]
    assert (app._open, app._new) == (0, 0)


async def test_a_failing_request_gives_its_place_back() -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError

    app = limited(fail, 1, 0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await start(app, "/")[0]


async def test_the_wait_for_a_turn_is_limited() -> None:
    work = Work()
    app = limited(work, 1, 8, request_queue_timeout=0.05)
    first, second = start(app, "/0"), start(app, "/1")
    await asyncio.wait_for(second[0], 60)
    assert second[1][0]["status"] == 503
    work.go_on.release()
    await first[0]
    assert work.order == ["/0"]


@pytest.mark.slow
async def test_requests_that_only_wait_take_no_place_from_others() -> None:
    work = Work()
    app = Admission(work, AdmissionSettings())
    waiting = [start(app, "/wait")[0] for _ in range(600)]
    async with asyncio.timeout(60):
        while len(work.order) < 600:  # noqa: ASYNC110 the clock is what is tested
            await asyncio.sleep(0.01)
    for _ in range(601):
        work.go_on.release()
    await asyncio.gather(start(app, "/ping")[0], *waiting)
    assert work.order[-1] == "/ping"


@pytest.mark.slow
async def test_less_is_admitted_while_the_loop_is_late_and_more_when_it_is_in_time() -> None:
    work = Work()
    app = limited(work, 10_000, 1000, request_max_lag=0.005, request_queue_timeout=30)
    tasks = [start(app, "/")[0] for _ in range(100)]
    await settle()
    late_until = time.monotonic() + 3 * admission.INTERVAL
    while time.monotonic() < late_until or app._most_new > 90:
        time.sleep(0.02)  # noqa: ASYNC251 a view that computes
        await asyncio.sleep(0)
    tasks += [start(app, "/")[0] for _ in range(100)]
    await settle()
    assert app._waiting
    async with asyncio.timeout(60):
        while app._waiting:  # noqa: ASYNC110 the clock is what is tested
            await asyncio.sleep(0.01)
    for _ in tasks:
        work.go_on.release()
    await asyncio.gather(*tasks)
    assert (app._open, app._new) == (0, 0)


@pytest.mark.slow
async def test_one_late_moment_is_no_overload() -> None:
    work = Work()
    app = limited(work, 10_000, 1000)
    task = start(app, "/")[0]
    await asyncio.sleep(0.02)
    time.sleep(0.09)  # noqa: ASYNC251 a view that computes
    await asyncio.sleep(0.15)
    assert app._most_new >= 256
    work.go_on.release()
    await task


async def test_nothing_ticks_while_no_request_is_open() -> None:
    work = Work()
    app = limited(work, 10, 10)
    task = start(app, "/")[0]
    await settle()
    assert app._timer is not None
    work.go_on.release()
    await task
    async with asyncio.timeout(60):
        while app._timer is not None:  # noqa: ASYNC110 the clock is what is tested
            await asyncio.sleep(0.01)


@pytest.fixture
async def full(tmp_path: Path, database_url: str) -> AsyncIterator[App]:
    """An application without a queue, whose only place is taken."""
    app = create_app(tmp_path, database_url, REQUEST_LIMIT=1, REQUEST_QUEUE=0)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def occupy() -> str:
        entered.set()
        await leave.wait()
        return "held"

    app.add_url_rule("/occupy", view_func=occupy)
    await create_tables(app)
    async with app.test_app():
        holding = asyncio.create_task(app.test_client().get("/occupy"))
        await entered.wait()
        yield app
        leave.set()
        assert (await holding).status_code == 200


async def test_a_full_application_refuses_without_a_report_and_says_that_it_lives(
    full: App, caplog: pytest.LogCaptureFixture
) -> None:
    client = full.test_client()
    page = await client.get("/")
    problem = await client.get("/api/posts")
    assert (page.status_code, problem.status_code) == (503, 503)
    assert page.headers["Retry-After"] == problem.headers["Retry-After"] == "5"
    assert json.loads(await problem.get_data())["code"] == "service-unavailable"
    assert (await client.get("/health")).status_code == 200
    assert "expected to be 5xx since the last line: admission" in caplog.text
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_refused_form_comes_back_without_its_passwords(full: App) -> None:
    body = "csrf_token=a+token&post=Zo%C3%AB+%3Cb%3E%0D%0Asays&password=canary"
    answer = await full.test_client().post("/", data=body, headers=FORM)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 503
    assert '<input type="hidden" name="csrf_token" value="a token">' in page
    assert '<input type="hidden" name="post" value="Zoë &lt;b&gt;\r\nsays">' in page
    assert "canary" not in page
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (FORM | {"Sec-Fetch-Site": "cross-site"}, "post=sponsored"),
        (FORM | {"Origin": "http://evil.example"}, "post=sponsored"),
        (FORM, "post=%FFsponsored"),
        (FORM, "post=" + "sponsored" * 10_000),
        (FORM, "sponsored&" * 101),
        ({"Content-Type": "application/json"}, '"sponsored"'),
    ],
)
async def test_what_is_no_form_of_this_site_is_not_repeated(
    full: App, headers: dict[str, str], body: str
) -> None:
    answer = await full.test_client().post("/", data=body, headers=headers)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 503
    assert "sponsored" not in page
    assert '<a href="">Try again</a>' in page
