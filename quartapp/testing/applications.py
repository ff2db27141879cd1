"""Applications of any kind, started and stopped in the event loop of a test, and their clients."""

import asyncio
import inspect
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from quart import Quart
from sqlalchemy import URL

SECONDS = 30.0
"""The most time that an application may take to start, or to stop."""

Message = MutableMapping[str, Any]
A = TypeVar("A")

_running: set[int] = set()


class LifespanFailedError(RuntimeError):
    """An application could not start or stop; the message is its own."""


async def application_of(given: Any) -> Any:
    """The application that a fixture `app` returned: itself, or what its factory makes."""
    made = given
    if not _is_application(made) and callable(made):
        made = made()
        if inspect.isawaitable(made):
            made = await made
    if not _is_application(made):
        pytest.fail(
            f"the fixture `app` gave {type(made).__name__}: {made!r:.200}\n"
            "It has to return a Quart application, another ASGI application (a callable with "
            "scope, receive and send), or a function without parameters that makes one.",
            pytrace=False,
        )
    return made


@asynccontextmanager
async def started(application: A) -> AsyncIterator[A]:
    """Start an application as a server does (lifespan), and stop it at the end of the block.

    One that is running already is left running. Raises LifespanFailedError, or what a Quart
    application raised.
    """
    if _is_running(application):
        yield application
        return
    _running.add(id(application))
    try:
        if isinstance(application, Quart):
            async with application.test_app():
                yield application
        else:
            async with _lifespan(application):
                yield application
    finally:
        _running.discard(id(application))


def databases_of(application: Any, own: Path | None) -> list[URL]:
    """The databases of an application's extensions, without files in the folder of the test."""
    extensions: dict[str, Any] = getattr(application, "extensions", {})
    reporting = extensions.get("reporting")
    found = (extensions.get("database"), getattr(reporting, "database", None))
    urls: dict[URL, None] = {}
    for database in found:
        url = getattr(database, "url", None)
        if isinstance(url, URL):
            is_own = own is not None and url.get_backend_name() == "sqlite"
            if not (is_own and Path(url.database or "").is_relative_to(own or "")):
                urls[url] = None
    return list(urls)


def client_of(application: Any) -> AbstractAsyncContextManager[Any]:
    """The test client of a Quart application, or an httpx.AsyncClient."""
    if isinstance(application, Quart):
        return _opened(application.test_client())
    try:
        import httpx
    except ImportError:
        pytest.fail("the client of an application that is not Quart needs httpx", pytrace=False)
    transport = httpx.ASGITransport(app=application)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@asynccontextmanager
async def _opened(client: A) -> AsyncIterator[A]:
    yield client


def _is_application(given: Any) -> bool:
    if isinstance(given, Quart):
        return True
    try:
        inspect.signature(given).bind("scope", "receive", "send")
    except (TypeError, ValueError):
        return False
    return True


def _is_running(application: Any) -> bool:
    if id(application) in _running:
        return True
    # Quart makes the event when it starts, and sets it when it stops.
    stopped = getattr(application, "shutdown_event", None)
    return isinstance(application, Quart) and stopped is not None and not stopped.is_set()


@asynccontextmanager
async def _lifespan(application: Any) -> AsyncIterator[None]:
    sent: asyncio.Queue[Message] = asyncio.Queue()
    received: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    task = asyncio.ensure_future(application(scope, sent.get, received.put))
    try:
        supported = await _step(task, sent, received, "startup")
        yield
        if supported:
            await _step(task, sent, received, "shutdown")
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _step(
    task: "asyncio.Future[None]",
    sent: "asyncio.Queue[Message]",
    received: "asyncio.Queue[Message]",
    step: str,
) -> bool:
    """Whether the application has done it; an application without lifespan raises or returns."""
    await sent.put({"type": f"lifespan.{step}"})
    answer = asyncio.ensure_future(received.get())
    waited: list[asyncio.Future[Any]] = [task, answer]
    await asyncio.wait(waited, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        if not task.done():
            raise LifespanFailedError(f"the application did not finish its {step}")
        return False
    message = answer.result()
    if message["type"] == f"lifespan.{step}.failed":
        raise LifespanFailedError(f"{step} failed: {message.get('message', '')}")
    return True
