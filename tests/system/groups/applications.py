"""The same application on each framework, whose view fails in a task.

It is also run as a script, by the Python of an environment that has the framework and nothing of
this project: `python applications.py NAME` prints the answers as JSON.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from types import ModuleType
from typing import Any

Fail = Callable[[], Awaitable[Any]]


class StockError(Exception):
    """An error of the application; its handler answers 409."""


@dataclass(frozen=True)
class Framework:
    """`not_found` and `forbidden` make the errors that answer 404 and 403; `ask` serves a request
    with a view, and returns the status."""

    not_found: Callable[[], Exception]
    forbidden: Callable[[], Exception]
    ask: Callable[[Fail], Awaitable[int]]


async def raising(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


def alone(error: Exception) -> Fail:
    async def view() -> None:
        raise error

    return view


def in_tasks(*errors: BaseException) -> Fail:
    async def view() -> None:
        async with asyncio.TaskGroup() as tasks:
            for error in errors:
                tasks.create_task(raising(error))

    return view


def nested(error: Exception) -> Fail:
    async def view() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(in_tasks(error)())  # type: ignore[arg-type]  # a coroutine

    return view


CASES: dict[str, Callable[[Framework], Fail]] = {
    "404, without a group": lambda web: alone(web.not_found()),
    "404 in a task": lambda web: in_tasks(web.not_found()),
    "404 in a task of a task": lambda web: nested(web.not_found()),
    "403 and 404 in two tasks": lambda web: in_tasks(web.forbidden(), web.not_found()),
    "an error whose handler answers 409, in a task": lambda web: in_tasks(StockError()),
    "the same beside 404": lambda web: in_tasks(web.not_found(), StockError()),
    "a defect beside 404": lambda web: in_tasks(web.not_found(), KeyError("defect")),
}


async def answers(name: str) -> dict[str, int]:
    """The status of each case on a framework."""
    framework = FRAMEWORKS[name]()
    return {case: await framework.ask(make(framework)) for case, make in CASES.items()}


async def ask_asgi(app: Any) -> int:
    """Send GET / to an ASGI application. A server answers 500 to what leaves it."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    arrived.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    try:
        await app(scope, arrived.get, send)
    except Exception:  # noqa: BLE001  # a server would log it
        statuses.append(500)
    return statuses[0]


def quart() -> Framework:
    from quart import Quart

    return of_flask(Quart)


def flasklike() -> Framework:
    from quartapp.flasklike import App

    return of_flask(App)


def of_flask(app_class: Any) -> Framework:
    from werkzeug.exceptions import Forbidden, NotFound

    async def ask(fail: Fail) -> int:
        app = app_class("groups")
        app.add_url_rule("/", view_func=fail)
        app.register_error_handler(StockError, lambda error: ("", 409))
        return await ask_asgi(app)

    return Framework(NotFound, Forbidden, ask)


def starlette() -> Framework:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import Response
    from starlette.routing import Route

    async def handle(request: Any, error: Exception) -> Any:
        return Response(status_code=409)

    async def ask(fail: Fail) -> int:
        async def view(request: Any) -> Any:
            await fail()

        routes = [Route("/", view)]
        return await ask_asgi(Starlette(routes=routes, exception_handlers={StockError: handle}))

    return Framework(lambda: HTTPException(404), lambda: HTTPException(403), ask)


def fastapi() -> Framework:
    from fastapi import FastAPI, HTTPException, Response

    async def handle(request: Any, error: Exception) -> Any:
        return Response(status_code=409)

    async def ask(fail: Fail) -> int:
        app = FastAPI()
        app.add_exception_handler(StockError, handle)
        app.get("/")(fail)
        return await ask_asgi(app)

    return Framework(lambda: HTTPException(404), lambda: HTTPException(403), ask)


def litestar() -> Framework:
    from litestar import Litestar, Response, get
    from litestar.exceptions import NotFoundException, PermissionDeniedException

    def handle(request: Any, error: Exception) -> Any:
        return Response(None, status_code=409)

    async def ask(fail: Fail) -> int:
        async def view() -> None:
            await fail()

        routes = [get("/")(view)]
        return await ask_asgi(Litestar(routes, exception_handlers={StockError: handle}))

    return Framework(NotFoundException, PermissionDeniedException, ask)


def django() -> Framework:
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.exceptions import PermissionDenied
    from django.http import Http404, HttpResponse
    from django.urls import path

    urls: Any = ModuleType("urls")
    sys.modules["urls"] = urls

    class Handling:
        def __init__(self, get_response: Any) -> None:
            self.get_response = get_response

        def __call__(self, request: Any) -> Any:
            return self.get_response(request)

        def process_exception(self, request: Any, error: Exception) -> Any:
            return HttpResponse(status=409) if isinstance(error, StockError) else None

    urls.Handling = Handling
    settings.configure(
        ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"], MIDDLEWARE=["urls.Handling"], LOGGING_CONFIG=None
    )

    async def ask(fail: Fail) -> int:
        from django.urls import clear_url_caches

        async def view(request: Any) -> Any:
            await fail()

        urls.urlpatterns = [path("", view)]
        clear_url_caches()
        return await ask_asgi(get_asgi_application())

    return Framework(Http404, PermissionDenied, ask)


def aiohttp() -> Framework:
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    async def handling(request: Any, handler: Any) -> Any:
        try:
            return await handler(request)
        except StockError:
            return web.Response(status=409)

    async def ask(fail: Fail) -> int:
        async def view(request: Any) -> Any:
            await fail()

        app = web.Application(middlewares=[web.middleware(handling)])
        app.router.add_get("/", view)
        async with TestClient(TestServer(app)) as client:
            return int((await client.get("/")).status)

    return Framework(web.HTTPNotFound, web.HTTPForbidden, ask)


FRAMEWORKS: dict[str, Callable[[], Framework]] = {
    "Quart": quart,
    "Starlette": starlette,
    "FastAPI": fastapi,
    "Litestar": litestar,
    "Django": django,
    "aiohttp": aiohttp,
    "App": flasklike,
}

if __name__ == "__main__":
    logging.disable()
    [_, chosen] = sys.argv
    release = version("quart" if chosen == "App" else chosen)
    print(json.dumps([release, asyncio.run(answers(chosen))]))
