"""What an application held is freed when it has ended: a suite makes hundreds of them."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from quartapp.flasklike import App
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.models.user import add_user
from quartapp.microblog.testing import create_tables
from quartapp.testing import started


def serve(settings: Settings, also: Callable[[], object] = list) -> "weakref.ref[App]":
    """Serve somebody who writes, in an event loop of its own, and call *also* meanwhile."""

    async def serving() -> "weakref.ref[App]":
        app = create_app(settings)
        app.add_url_rule("/in-a-thread", view_func=lambda: "done")
        await create_tables(app)
        async with started(app):
            assert (await app.test_client().get("/in-a-thread")).status_code == 200
            async with app.extensions["database"].session() as session:
                also()
                await add_user(session, "susan", "susan@example.com", password_hash="-")
        return weakref.ref(app)

    return asyncio.run(serving())


@pytest.mark.slow
def test_an_application_that_has_ended_is_freed(settings: Settings) -> None:
    ended = [serve(settings) for _ in range(4)]
    gc.collect()
    # The last one keeps the handler of its logger, for later lines.
    assert [app() for app in ended[:-1]] == [None] * 3


@pytest.mark.slow
def test_what_outlives_an_application_is_still_heard(
    settings: Settings, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[Any] = []
    app = serve(settings, lambda: kept.extend((asyncio.get_running_loop(), threading.excepthook)))
    serve(settings)
    gc.collect()
    assert app() is None
    loop, hook = kept
    loop.call_exception_handler({"message": "nobody serves"})
    assert caplog.messages[-1] == "nobody serves"
    error = RuntimeError("any more")
    hook(threading.ExceptHookArgs((RuntimeError, error, None, threading.current_thread())))
    assert "RuntimeError: any more" in capfd.readouterr().err
