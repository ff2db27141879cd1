"""A plain `with` for contexts: in scripts, in plain functions, and refused in the event loop."""

import asyncio
import sqlite3
import threading
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
from quart import current_app, g, has_app_context, session
from quart.signals import appcontext_popped, appcontext_pushed

from quartapp.flasklike import App, render_template_string, request
from quartapp.flasklike.concurrency.awaiting import can_wait, local, wait
from quartapp.flasklike.sync import request as sync_request

variable: ContextVar[str] = ContextVar("variable", default="unset")


@pytest.fixture
def app() -> App:
    app = App("blocks")
    app.secret_key = "k" * 40
    return app


def rendered(source: str) -> Any:
    return render_template_string(source)


def test_a_script_uses_the_application_as_on_flask(app: App) -> None:
    closed = []

    @app.teardown_appcontext
    def close(error: BaseException | None) -> None:
        g.db.close()
        closed.append((threading.current_thread() is threading.main_thread(), error))

    @app.context_processor
    async def processor() -> dict[str, str]:
        await asyncio.sleep(0)
        return {"name": "block"}

    with app.app_context() as context:
        assert current_app.name == "blocks"
        assert context.app is app
        g.db = sqlite3.connect(":memory:")
        assert rendered("{{ name }}") == "block"
        with app.test_request_context("/path", method="POST", form={"a": "1"}):
            session["a"] = 1
            assert sync_request.form["a"] == "1"
            assert rendered("{{ request.path }}") == "/path"
    assert closed == [(True, None)]
    assert not has_app_context()
    assert (can_wait(), local.bridge) == (False, None)


def test_an_error_in_the_block_reaches_the_teardown_functions(app: App) -> None:
    seen: list[Any] = []
    app.teardown_appcontext(lambda error: seen.append(error))
    with pytest.raises(ValueError, match="inside"), app.app_context():
        raise ValueError("inside")
    assert [str(error) for error in seen] == ["inside"]
    assert local.bridge is None


def test_an_error_at_the_entrance_leaves_nothing_behind(app: App) -> None:
    def fail(_: App) -> None:
        raise ValueError("pushed")

    with appcontext_pushed.connected_to(fail, app), pytest.raises(ValueError, match="pushed"):
        copy_context().run(app.app_context().__enter__)  # it stays entered, as on Flask
    assert local.bridge is None


@pytest.mark.parametrize("inside", [False, True])
def test_contextvars_of_the_block_stay(app: App, inside: bool) -> None:
    def work() -> None:
        token = variable.set("before")
        with app.app_context():
            assert variable.get() == "before"
            variable.set("in the block")
            wait(change())
        assert variable.get() == "in a coroutine"
        variable.reset(token)
        assert variable.get() == "unset"

    async def change() -> None:
        assert variable.get() == "in the block"
        variable.set("in a coroutine")

    if inside:
        copy_context().run(work)
    else:
        work()
    assert local.bridge is None


async def test_in_the_loop_it_is_an_error_that_says_what_to_write(app: App) -> None:
    with pytest.raises(RuntimeError, match=r"'async with app\.app_context\(\):'"):
        app.app_context().__enter__()
    with pytest.raises(RuntimeError, match=r"'async with app\.test_request_context"):
        app.test_request_context("/").__enter__()
    assert not has_app_context()


async def test_a_plain_function_enters_contexts_in_its_thread(app: App) -> None:
    seen: list[Any] = []
    app.teardown_appcontext(lambda _: seen.append(threading.get_ident()))

    @app.get("/")
    def view() -> str:
        seen.append(threading.get_ident())
        with app.test_request_context("/other"):
            inner = request.path
        return f"{inner} {request.path}"

    response = await app.test_client().get("/")
    assert await response.get_data(as_text=True) == "/other /"
    assert len(set(seen)) == 1


def test_a_thread_without_an_event_loop_has_its_own_block(app: App) -> None:
    found: list[Any] = []

    def work() -> None:
        noting = appcontext_popped.connected_to(lambda _: found.append("popped"), app)
        with noting, app.app_context():
            found.append(rendered("{{ 1 + 1 }}"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert found == ["2", "popped"]


def tasks(app: App) -> list[str]:
    """What the tasks that a plain view starts have done."""
    done = []

    def plain(what: str) -> None:
        done.append(what)

    async def asynchronous(*, what: str) -> None:
        done.append(what)

    @app.get("/")
    def view() -> str:
        app.add_background_task(plain, "plain")
        app.add_background_task(asynchronous, what="asynchronous")
        return ""

    return done


def test_a_plain_view_starts_tasks_in_a_plain_test(app: App) -> None:
    done = tasks(app)
    response: Any = app.test_client().get("/")
    assert (response.status_code, sorted(done)) == (200, ["asynchronous", "plain"])


async def test_a_plain_view_starts_tasks_from_its_thread(app: App) -> None:
    done = tasks(app)
    async with app.test_app() as started:
        assert (await started.test_client().get("/")).status_code == 200
    assert sorted(done) == ["asynchronous", "plain"]


def loops(app: App) -> None:
    """Views for the two tests below: what plain code may do with event loops."""

    async def path() -> str:
        await asyncio.sleep(0)
        return str(request.path)

    @app.before_request
    def before() -> None:
        sync_request.get_data()  # a wait before the view, which gives the loop back

    @app.post("/run")
    def run() -> str:
        return f"{asyncio.run(path())}{sync_request.form['a']}{asyncio.run(path())}"

    @app.post("/inner")
    def inner() -> str:
        async def text() -> str:
            return str(can_wait())

        return asyncio.run(text())

    @app.post("/client")
    def client() -> str:
        response: Any = app.test_client().post("/inner")
        return "client " + str(response.text)

    @app.post("/task")
    def task() -> str:
        coroutine = path()
        try:
            asyncio.get_running_loop().create_task(coroutine)
        except RuntimeError as error:
            coroutine.close()
            return str(error)
        return "created"

    @app.post("/nested")
    def nested() -> str:
        return f"{app.ensure_sync(between)()}{asyncio.run(path())}"

    async def between() -> str:
        assert asyncio.get_running_loop().is_running()
        return str(await app.ensure_async(lambda: asyncio.run(path()))())


EXPECTED = {
    "/run": "/run1/run",
    "/inner": "False",
    "/client": "client False",
    "/task": "no running event loop",
    "/nested": "/nested/nested",
}


def test_plain_code_has_no_running_loop_in_a_plain_test(app: App) -> None:
    loops(app)
    client: Any = app.test_client()
    assert {path: client.post(path, data={"a": "1"}).text for path in EXPECTED} == EXPECTED


async def test_plain_code_has_no_running_loop_in_a_thread(app: App) -> None:
    loops(app)
    client: Any = app.test_client()
    answers = {path: await client.post(path, data={"a": "1"}) for path in EXPECTED}
    assert {path: answer.text for path, answer in answers.items()} == EXPECTED
