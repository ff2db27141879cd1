"""The synchronous functions of one request share a thread, and wait in it for the loop."""

import asyncio
import sqlite3
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, g, websocket
from sqlalchemy import create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from quartapp.flasklike import App, render_template_string
from quartapp.flasklike.concurrency import threads
from quartapp.flasklike.concurrency.awaiting import wait
from quartapp.flasklike.concurrency.threads import Thread, in_thread
from quartapp.flasklike.concurrency.turns import Turns, current_turns

variable: ContextVar[str] = ContextVar("variable", default="unset")


@pytest.fixture
def app() -> App:
    app = App("threads")
    app.testing = True
    return app


async def text_of(app: Quart, path: str = "/") -> str:
    response = await app.test_client().get(path)
    text: str = await response.get_data(as_text=True)
    return text


def here() -> int:
    return threading.get_ident()


async def asleep(seconds: float = 0) -> str:
    await asyncio.sleep(seconds)
    return "slept"


async def test_all_functions_of_a_request_run_in_one_thread(app: App) -> None:
    seen: list[int] = []

    def note(*_: object) -> None:
        seen.append(here())

    def note_answer(response: Any) -> Any:
        seen.append(here())
        return response

    app.before_request(note)
    app.after_request(note_answer)
    app.teardown_request(note)
    app.teardown_appcontext(note)

    @app.context_processor
    def processor() -> dict[str, Any]:
        seen.append(here())
        return {"processed": True}

    @app.get("/")
    async def view() -> Any:
        await asyncio.sleep(0)
        await render_template_string("{{ processed }}")
        return parts()

    def parts() -> Iterator[str]:
        seen.append(here())
        yield "part"
        seen.append(here())

    assert await text_of(app) == "part"
    assert len(seen) == 7
    assert set(seen) != {here()}
    assert len(set(seen)) == 1


async def test_a_sqlite_connection_of_a_request_works_in_all_of_its_functions(app: App) -> None:
    @app.before_request
    def connect() -> None:
        g.db = sqlite3.connect(":memory:")
        g.db.execute("create table t (x)")

    @app.teardown_request
    def close(_: object) -> None:
        g.db.close()

    @app.get("/<int:number>")
    def view(number: int) -> str:
        time.sleep(0.001)
        g.db.execute("insert into t values (?)", [number])
        return str(g.db.execute("select x from t").fetchall())

    answers = await asyncio.gather(*(text_of(app, f"/{number}") for number in range(64)))
    assert answers == [f"[({number},)]" for number in range(64)]


async def test_a_scoped_session_never_meets_that_of_another_request(
    app: App, tmp_path: Path
) -> None:
    session = scoped_session(sessionmaker(create_engine(f"sqlite:///{tmp_path / 'db'}")))
    met: list[object] = []

    @app.before_request
    def before() -> None:
        met.append(session().info.setdefault("request", g._get_current_object()))
        g.session = session()

    @app.teardown_appcontext
    def remove(_: object) -> None:
        session.remove()

    @app.get("/")
    def view() -> str:
        time.sleep(0.001)
        return str(session() is g.session)

    answers = await asyncio.gather(*(text_of(app) for _ in range(64)))
    assert answers == ["True"] * 64
    assert len({id(each) for each in met}) == 64


async def test_what_is_awaited_for_a_function_runs_functions_in_the_same_thread(app: App) -> None:
    seen = []

    def fourth() -> str:
        seen.append(here())
        return "deep"

    async def third() -> str:
        await asyncio.sleep(0)
        result: str = await app.ensure_async(fourth)()
        return result

    def second() -> str:
        seen.append(here())
        return wait(third())

    async def first() -> str:
        result: str = await app.ensure_async(second)()
        return result

    @app.get("/")
    def view() -> str:
        seen.append(here())
        text = wait(first())
        seen.append(here())
        return text

    assert await text_of(app) == "deep"
    assert len(seen) == 4
    assert len(set(seen)) == 1


async def test_members_of_a_task_group_use_other_threads(app: App) -> None:
    together = threading.Barrier(3)

    def meet() -> int:
        together.wait(60)
        return here()

    @app.get("/")
    async def view() -> str:
        async with asyncio.TaskGroup() as group:
            members = [group.create_task(call()) for _ in range(3)]
        return str(len({member.result() for member in members}))

    async def call() -> int:
        return await in_thread(meet)()

    assert await text_of(app) == "3"


@pytest.mark.slow
async def test_requests_in_requests_need_no_turn_of_those_that_wait(app: App) -> None:
    app.config["SYNC_THREADS"] = 1

    @app.get("/inner")
    def inner() -> str:
        return "inner"

    @app.get("/")
    def outer() -> str:
        return wait(text_of(app, "/inner"))

    async with asyncio.timeout(30):
        answers = await asyncio.gather(*(text_of(app) for _ in range(300)))
    assert answers == ["inner"] * 300


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_functions_run_at_once_than_the_setting_says(app: App, limit: int) -> None:
    app.config["SYNC_THREADS"] = limit
    running: list[int] = []
    seen: list[int] = []
    order: list[int] = []

    @app.get("/<int:number>")
    def view(number: int) -> str:
        running.append(number)
        order.append(number)
        time.sleep(0.02)
        seen.append(len(running))
        running.remove(number)
        return ""

    tasks = []
    for number in range(6):
        tasks.append(asyncio.create_task(text_of(app, f"/{number}")))
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    assert max(seen) == limit
    if limit == 1:
        assert order == sorted(order), "first come, first served"
    assert_no_turn_is_taken()


def assert_no_turn_is_taken() -> None:
    assert current_turns().take(1), "all turns were given back"
    current_turns().give_back()


async def test_who_waits_for_a_turn_can_be_cancelled(app: App) -> None:
    app.config["SYNC_THREADS"] = 1
    go_on = threading.Event()
    async with app.app_context():
        first = asyncio.ensure_future(in_thread(go_on.wait)(30))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(in_thread(here)())
        await asyncio.sleep(0.01)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go_on.set()
        assert await first
        assert await in_thread(here)()


async def test_a_turn_that_comes_with_the_cancellation_is_passed_on() -> None:
    turns = Turns(asyncio.get_running_loop())
    assert turns.take(1)
    waiting = asyncio.create_task(turns.wait(holds_thread=False))
    await asyncio.sleep(0)
    turns.give_back()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert turns.take(1)


async def test_contextvars_pass_in_both_directions(app: App) -> None:
    seen: list[str] = []

    @app.before_request
    def set_it() -> None:
        g.token = variable.set("by a function")

    @app.get("/")
    async def view() -> str:
        text = variable.get()
        variable.set("by the view")
        return text

    @app.teardown_request
    def reset_it(_: object) -> None:
        seen.append(variable.get())
        variable.reset(g.token)
        seen.append(variable.get())

    assert await text_of(app) == "by a function"
    assert seen == ["by the view", "unset"]


async def test_the_error_that_is_handled_is_active_while_a_handler_waits(app: App) -> None:
    @app.errorhandler(ValueError)
    def handler(error: ValueError) -> str:
        wait(asleep())
        return f"{sys.exc_info()[1] is error}"

    @app.get("/")
    def view() -> str:
        raise ValueError

    assert await text_of(app) == "True"


async def test_errors_arrive_where_a_function_waits() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("from the coroutine")

    def work() -> str:
        try:
            wait(fail())
        except KeyError as error:
            return str(error)
        return "nothing"

    assert await in_thread(work)() == "'from the coroutine'"


async def test_stop_iteration_of_what_is_awaited_becomes_runtime_error() -> None:
    async def stop() -> None:
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await in_thread(lambda: wait(stop()))()


@pytest.mark.parametrize("swallowed", [False, True])
async def test_a_function_that_waits_gets_the_cancellation(swallowed: bool) -> None:
    waiting, got = asyncio.Event(), []

    async def for_ever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def work() -> str:
        try:
            wait(for_ever())
        except asyncio.CancelledError:
            got.append(wait(asleep()))  # as any coroutine may
            if not swallowed:
                raise
        return "went on"

    task = asyncio.ensure_future(in_thread(work)())
    await waiting.wait()
    task.cancel()
    if swallowed:
        assert await task == "went on"
    else:
        with pytest.raises(asyncio.CancelledError):
            await task
    assert got == ["slept"]


async def test_a_cancellation_while_a_function_runs_arrives_where_it_waits_next() -> None:
    begun, go_on, got = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        go_on.wait(30)
        try:
            wait(asleep())
        except asyncio.CancelledError as error:
            got.append(error)
            raise

    task = asyncio.ensure_future(in_thread(work)())
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(got) == 1


async def test_a_closed_task_does_not_leak_its_thread() -> None:
    before = set(threading.enumerate())
    began, ends, ended = threading.Event(), threading.Event(), []

    async def never() -> None:
        raise AssertionError("nobody awaits it")

    def work() -> None:
        began.set()
        ends.wait(30)
        try:
            wait(never())
        except asyncio.CancelledError:
            ended.append(threading.current_thread())

    threads._idle.clear()
    coroutine: Any = in_thread(work)()
    coroutine.send(None)
    assert began.wait(30)
    coroutine.close()
    ends.set()
    for thread in set(threading.enumerate()) - before:
        await asyncio.to_thread(thread.join, 30)
    assert len(ended) == 1
    assert not ended[0].is_alive()
    assert_no_turn_is_taken()
    assert threads._idle == []


async def test_a_thread_is_used_again_and_named() -> None:
    name = await in_thread(lambda: threading.current_thread().name)()
    assert name.startswith("sync-")
    assert await in_thread(lambda: threading.current_thread().name)() == name


async def test_an_idle_thread_keeps_nothing_alive() -> None:
    class Big:
        pass

    def work(value: Big) -> Big:
        return value

    value = Big()
    reference = weakref.ref(value)
    assert await in_thread(work)(value) is value
    del value
    await asyncio.sleep(0.01)
    assert reference() is None


async def test_a_client_that_leaves_cancels_a_view_that_waits(app: App) -> None:
    seen: list[Any] = []
    arrived = asyncio.Event()

    async def for_ever() -> None:
        arrived.set()
        await asyncio.Event().wait()

    @app.get("/")
    def view() -> str:
        try:
            wait(for_ever())
        finally:
            seen.append(here())
        return "never"

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        seen.extend([here(), type(error)])

    connection = app.test_client().request("/")
    async with connection:
        await connection.send_complete()
        await arrived.wait()
        await connection.disconnect()
    assert seen[0] == seen[1]
    assert seen[2] is asyncio.CancelledError


async def test_functions_of_a_context_share_a_thread(app: App) -> None:
    seen, go_on = [], threading.Event()
    before = set(threads._owners)  # tasks that other tests have left
    app.teardown_appcontext(lambda _: seen.append(here()))
    async with app.app_context():
        seen.append(await app.ensure_async(here)())
        other = asyncio.ensure_future(in_thread(go_on.wait)(30))  # it would take that thread
        await asyncio.sleep(0)
        seen.append(await app.ensure_async(here)())
        async with app.test_request_context("/"):
            seen.append(await app.ensure_async(here)())
    go_on.set()
    await other
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert set(threads._owners) <= before


async def test_hooks_and_view_of_a_websocket_share_a_thread(app: App) -> None:
    seen: dict[str, list[int]] = {}
    together = asyncio.Barrier(3)

    @app.before_websocket
    def before() -> None:
        seen[websocket.path] = [here()]

    @app.before_websocket
    async def meet() -> None:
        await together.wait()

    @app.teardown_websocket
    def teardown(_: object) -> None:
        seen[websocket.path].append(here())

    @app.websocket("/<number>")
    def view(number: str) -> None:
        receive: Any = websocket.receive
        send: Any = websocket.send
        seen[websocket.path].append(here())
        send(receive().upper())

    async def talk(number: int) -> None:
        async with app.test_client().websocket(f"/{number}") as client:
            await client.send("shout")
            assert await client.receive() == "SHOUT"

    await asyncio.gather(*map(talk, range(3)))
    assert len(seen) == 3
    assert all(len(each) == 3 and len(set(each)) == 1 for each in seen.values())


async def test_a_wait_after_the_task_has_ended_is_refused() -> None:
    thread = Thread()
    thread._lost = True
    coroutine = asleep()
    with pytest.raises(asyncio.CancelledError):
        thread.wait(coroutine)
    thread._inbox.put(None)


async def test_what_a_block_of_coroutines_opened_is_closed_in_their_thread() -> None:
    """sqlite3 refuses another thread; tests of an application open connections so."""
    app = App(__name__)
    seen = []

    @app.teardown_appcontext
    def close(error: BaseException | None) -> None:
        seen.append(threading.current_thread())
        g.connection.close()

    async with app.app_context():
        g.connection = sqlite3.connect(":memory:")
    async with app.test_request_context("/"):
        g.connection = sqlite3.connect(":memory:")
    assert seen == [threading.current_thread()] * 2


async def test_what_a_function_of_a_block_opened_is_closed_in_its_thread() -> None:
    app = App(__name__)
    seen = []

    @app.teardown_appcontext
    def close(error: BaseException | None) -> None:
        seen.append(threading.current_thread())
        g.connection.close()

    def connect() -> None:
        seen.append(threading.current_thread())
        g.connection = sqlite3.connect(":memory:")

    async with app.app_context():
        await app.ensure_async(connect)()
    assert seen[0] is seen[1] is not threading.current_thread()


def test_what_works_in_both_ways_needs_no_thread_in_the_loop() -> None:
    app = App(__name__)
    for function in (render_template_string, app.send_static_file):
        assert not hasattr(app.ensure_async(function), "_quart_async_wrapper")
