"""Groups where applications raise them; test_trees.py has the rules."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from quart import abort, request, websocket
from quart.signals import appcontext_popped, got_background_exception, request_tearing_down
from werkzeug.exceptions import NotFound

from quartapp.flasklike import App, render_template_string
from quartapp.flasklike import groups as module


@pytest.fixture
def app() -> App:
    app = App("groups")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.register_error_handler(404, lambda error: ("not here", 404))
    return app


async def fail(status: int = 404) -> None:
    await asyncio.sleep(0)
    abort(status)


async def fail_in_a_group(*_: Any, **__: Any) -> Any:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail())
        tasks.create_task(asyncio.sleep(10))


async def answer(app: App, path: str = "/") -> tuple[int, str]:
    response = await app.test_client().get(path)
    return response.status_code, await response.get_data(as_text=True)


async def test_an_abort_in_a_task_is_answered_as_without_a_group(app: App) -> None:
    app.add_url_rule("/", view_func=fail_in_a_group)
    assert await answer(app) == (404, "not here")


async def test_so_is_one_in_a_synchronous_view(app: App) -> None:
    @app.get("/")
    def view() -> str:
        raise ExceptionGroup("", [NotFound()])

    assert await answer(app) == (404, "not here")


async def test_so_is_one_before_the_view(app: App) -> None:
    app.before_request(fail_in_a_group)
    assert await answer(app) == (404, "not here")


async def test_so_is_one_in_a_template(app: App) -> None:
    def missing() -> str:
        raise ExceptionGroup("", [NotFound()])

    @app.get("/")
    async def view() -> str:
        return await render_template_string("{{ missing() }}", missing=missing)

    assert await answer(app) == (404, "not here")


async def test_so_is_one_of_a_websocket(app: App) -> None:
    @app.websocket("/ws")
    async def view() -> None:
        await websocket.accept()
        await fail_in_a_group()

    handled = []

    @app.errorhandler(404)
    async def handle(error: Exception) -> tuple[str, int]:
        handled.append(error)
        return "", 404

    async with app.test_client().websocket("/ws") as connection:
        with pytest.raises(Exception, match="1011"):
            await connection.receive()
    assert [type(error) for error in handled] == [NotFound]


async def test_a_group_is_unhandled_where_an_abort_is(app: App) -> None:
    @app.after_request
    async def fail(_: Any) -> Any:
        raise ExceptionGroup("", [NotFound()])

    app.add_url_rule("/", view_func=lambda: "fine")
    assert (await answer(app))[0] == 500


async def test_a_group_in_a_handler_is_unhandled(app: App) -> None:
    app.register_error_handler(KeyError, fail_in_a_group)
    app.add_url_rule("/", view_func=lambda: request.headers["Missing"])
    assert (await answer(app))[0] == 500


async def test_a_group_in_a_stream_ends_it(app: App) -> None:
    @app.get("/")
    async def view() -> Any:
        async def parts() -> AsyncIterator[str]:
            yield "one"
            await fail_in_a_group()

        return parts()

    with pytest.raises(ExceptionGroup):
        await answer(app)


async def test_a_group_in_a_background_task_is_signalled_whole(app: App) -> None:
    seen: list[Any] = []

    async def receive(_: Any, exception: Exception) -> None:
        seen.append(exception)

    cancelled = BaseExceptionGroup("", [asyncio.CancelledError(), KeyError()])

    async def fail_with_a_cancellation() -> None:
        raise cancelled

    with got_background_exception.connected_to(receive, sender=app):
        async with app.test_app():
            app.add_background_task(fail_in_a_group)
            app.add_background_task(fail_with_a_cancellation)
    assert [(type(each), len(each.exceptions)) for each in seen] == [(ExceptionGroup, 1)] * 2


async def test_cancellations_are_dropped_from_an_unhandled_group_too(app: App) -> None:
    async def fail(_: Any) -> Any:
        raise BaseExceptionGroup("", [asyncio.CancelledError(), KeyError()])

    app.after_request(fail)
    seen: list[Any] = []

    @app.errorhandler(500)
    async def handle(error: Any) -> tuple[str, int]:
        seen.append(error.original_exception)
        return "", 500

    app.add_url_rule("/", view_func=lambda: "fine")
    assert (await answer(app))[0] == 500
    assert [type(each) for each in seen[0].exceptions] == [KeyError]


async def test_a_group_of_cancellations_ends_a_request_that_is_cancelled(app: App) -> None:
    started = asyncio.Event()

    @app.get("/")
    async def view() -> str:
        started.set()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError as cancelled:
            raise BaseExceptionGroup("", [cancelled]) from None
        return "never"

    async with app.test_request_context("/") as context:
        task = asyncio.ensure_future(app.handle_request(context.request))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_ten_thousand_leaves_at_a_depth_of_three_hundred(app: App) -> None:
    group: Any = ExceptionGroup("", [NotFound() for _ in range(10_000)])
    for _ in range(300):
        group = ExceptionGroup("", [group])

    @app.get("/")
    async def view() -> str:
        raise group

    assert await answer(app) == (404, "not here")


@dataclass(frozen=True)
class Frozen(Exception):
    """An exception to which nothing can be assigned."""

    number: int


async def test_a_frozen_error_can_be_handled(app: App) -> None:
    async def handle(error: Any) -> str:
        return f"{error.number} of {len(error.__group__.exceptions)}"

    app.register_error_handler(Frozen, handle)

    @app.get("/")
    async def view() -> str:
        raise ExceptionGroup("", [Frozen(1), Frozen(2)])

    assert await answer(app) == (200, "1 of 2")


async def test_a_handler_can_raise_the_error_again(app: App) -> None:
    async def handle(error: Exception) -> Any:
        raise

    error = KeyError("again")
    app.register_error_handler(KeyError, handle)
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.get("/")
    async def view() -> str:
        raise ExceptionGroup("", [error, NotFound()])

    with pytest.raises(KeyError) as raised:
        await answer(app)
    assert raised.value is error
    assert error.__context__ is None


@pytest.mark.slow
async def test_a_group_leaves_no_garbage(app: App) -> None:
    @app.get("/")
    async def view() -> str:  # asyncio's TaskGroup makes a cycle itself
        raise ExceptionGroup("", [NotFound(), ExceptionGroup("", [NotFound()])])

    await answer(app)
    gc.collect()
    gc.disable()
    try:
        gc.set_debug(gc.DEBUG_SAVEALL)
        await answer(app)
        gc.collect()
        found = [each for each in gc.garbage if isinstance(each, BaseException)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert found == []


# Rule 12


def failing(name: str, called: list[str]) -> Callable[[Any], Any]:
    async def function(_: Any) -> None:
        called.append(name)
        raise ValueError(name)

    return function


async def raised_by(app: App) -> Any:
    app.add_url_rule("/", view_func=lambda: "fine")
    with pytest.raises(BaseException) as raised:
        await app.test_client().get("/")
    return raised.value


async def test_all_teardown_functions_run_and_their_errors_are_a_group(app: App) -> None:
    called: list[str] = []
    app.teardown_appcontext(failing("appcontext", called))
    app.teardown_request(failing("first", called))
    app.teardown_request(failing("second", called))

    async def note(_: Any, **__: Any) -> None:
        called.append("signal")

    with (
        request_tearing_down.connected_to(note, sender=app),
        appcontext_popped.connected_to(note, sender=app),
    ):
        error = await raised_by(app)
    assert called == ["second", "first", "signal", "appcontext", "signal"]
    during_request, in_appcontext = error.exceptions
    assert error.message == "Errors during context teardown"
    assert during_request.message == "Errors during request teardown"
    assert [str(each) for each in during_request.exceptions] == ["second", "first"]
    assert repr(in_appcontext) == "ValueError('appcontext')"


async def test_a_single_error_of_a_teardown_function_is_raised_as_it_is(app: App) -> None:
    called: list[str] = []

    async def fail_while_handling(_: Any) -> None:
        called.append("fine")
        try:
            raise KeyError
        except KeyError:
            raise ValueError("single")  # noqa: B904  # its context is what is tested

    app.teardown_request(lambda _: called.append("last"))
    app.teardown_request(fail_while_handling)
    error = await raised_by(app)
    assert called == ["fine", "last"]
    assert repr(error) == "ValueError('single')"
    assert isinstance(error.__context__, KeyError)


async def test_all_teardown_functions_of_a_websocket_run(app: App) -> None:
    called: list[str] = []
    app.teardown_websocket(failing("first", called))
    app.teardown_websocket(failing("second", called))

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.accept()

    with pytest.raises(ExceptionGroup, match="Errors during websocket teardown"):
        async with app.test_client().websocket("/ws") as connection:
            await connection.receive()
    assert called == ["second", "first"]


async def test_a_cancellation_in_a_teardown_function_lets_the_others_run(app: App) -> None:
    called: list[str] = []
    entered = asyncio.Event()

    async def wait(_: Any) -> None:
        entered.set()
        await asyncio.sleep(10)

    app.teardown_appcontext(failing("appcontext", called))
    app.teardown_request(failing("request", called))
    app.teardown_request(wait)
    app.add_url_rule("/", view_func=lambda: request.path)
    async with app.test_request_context("/") as context:
        task = asyncio.create_task(app.handle_request(context.request))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task
        called_by_the_request = called[:]
        context.app.teardown_request_funcs.clear()
        context.app.teardown_appcontext_funcs.clear()
    assert called_by_the_request == ["request"]
    assert repr(cancelled.value.__cause__) == "ValueError('request')"


def test_the_errors_of_teardown_functions_are_held_by_their_group_alone() -> None:
    errors: list[BaseException] = [ValueError("a"), ValueError("b")]
    with pytest.raises(ExceptionGroup) as raised:
        module.raise_all("Errors", errors)
    assert errors == []
    assert len(raised.value.exceptions) == 2
