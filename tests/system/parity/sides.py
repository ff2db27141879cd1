"""The two frameworks under one set of names, and how each is run."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import flask
import flask.views
import quart
from werkzeug.datastructures import Headers

from quartapp import flasklike
from tests.system.parity.observe import describe_error, describe_headers
from tests.system.parity.oracle import Oracle
from tests.system.parity.specification import Request
from tests.system.parity.vocabulary import BODIES, SIGNALS

Body = Generator[Any, Any, Any]
PATIENCE = 10.0


class Side:
    """`web` has the public names of the framework; whatever it returns may be awaitable."""

    name: str
    awaitable = False
    """Whether what templates meet is awaitable."""
    web: Any
    app_class: Any

    def function(self, body: Callable[..., Body], *, sync: bool) -> Callable[..., Any]:
        """Make a function from a body, a generator that yields everything that may have to be
        awaited."""
        raise NotImplementedError

    def stream(self, chunks: Callable[[], Iterator[str]], *, sync: bool) -> Callable[[], Any]:
        raise NotImplementedError

    async def open(self, client: Any, request: Request) -> Any:
        """Send the request; returns the response as values, or the error that the client raised.

        The response is without the reason phrase, which ASGI does not transmit.
        """
        raise NotImplementedError

    async def enter(self, client: Any) -> None:
        """Enter the client's `with` block, in which it keeps the context of the last request."""
        raise NotImplementedError

    async def leave(self, client: Any) -> None:
        raise NotImplementedError


def run_plainly(body: Body) -> Any:
    """Drive a body whose yields never have to be awaited."""
    try:
        value = next(body)
        while True:
            assert not inspect.isawaitable(value), "a sync function cannot await"
            value = body.send(value)
    except StopIteration as end:
        return end.value


async def run_awaiting(body: Body) -> Any:
    """Drive a body, awaiting each of its yields and throwing what that raises back into it."""
    try:
        pending = next(body)
        while True:
            failure: BaseException | None = None
            value = pending
            if inspect.isawaitable(pending):
                try:
                    value = await pending
                except BaseException as error:  # noqa: BLE001  # thrown into the body
                    failure = error
            pending = body.send(value) if failure is None else body.throw(failure)
    except StopIteration as end:
        return end.value


def plain(body: Callable[..., Body]) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return run_plainly(body(*args, **kwargs))

    return function


class FlaskSide(Side):
    name = "Flask"
    app_class = Oracle
    web: Any = SimpleNamespace(
        **{name: getattr(flask, name) for name in dir(flask) if not name.startswith("_")},
        MethodView=flask.views.MethodView,
        View=flask.views.View,
        signal={name: getattr(flask, name) for name in SIGNALS},
        session_interface=flask.sessions.SecureCookieSessionInterface,
    )

    def function(self, body: Callable[..., Body], *, sync: bool) -> Callable[..., Any]:
        return plain(body)

    def stream(self, chunks: Callable[[], Iterator[str]], *, sync: bool) -> Callable[[], Any]:
        return chunks

    async def enter(self, client: Any) -> None:
        client.__enter__()

    async def leave(self, client: Any) -> None:
        client.__exit__(None, None, None)

    async def open(self, client: Any, request: Request) -> Any:
        try:
            response = client.open(**self.arguments(request))
            try:
                return (response.status_code, describe_headers(response.headers), response.data)
            finally:
                response.close()
        except BaseException as error:  # noqa: BLE001  # it is observed
            return ("raised", describe_error(error))

    def arguments(self, request: Request) -> dict[str, Any]:
        content_type, data, announced = BODIES[request.body]
        arguments: dict[str, Any] = {"path": request.path, "method": request.method}
        arguments["headers"] = list(request.headers)
        if not request.body:
            return arguments
        arguments["content_type"] = content_type
        if announced:
            arguments["data"] = data
        else:
            arguments["input_stream"] = BytesIO(data)
            arguments["environ_overrides"] = {
                "wsgi.input_terminated": True,
                "HTTP_TRANSFER_ENCODING": "chunked",
            }
        return arguments


class FlasklikeSide(Side):
    name = "flasklike"
    awaitable = True
    app_class = flasklike.App
    web: Any = SimpleNamespace(
        **{name: getattr(quart, name) for name in dir(quart) if not name.startswith("_")}
        | {name: getattr(flasklike, name) for name in flasklike.__all__},
        signal={name: getattr(quart, name) for name in SIGNALS},
        session_interface=flasklike.App.session_interface.__class__,
    )

    def function(self, body: Callable[..., Body], *, sync: bool) -> Callable[..., Any]:
        if sync:
            return plain(body)

        async def function(*args: Any, **kwargs: Any) -> Any:
            return await run_awaiting(body(*args, **kwargs))

        return function

    def stream(self, chunks: Callable[[], Iterator[str]], *, sync: bool) -> Callable[[], Any]:
        if sync:
            return chunks

        async def streamed() -> AsyncIterator[str]:
            for chunk in chunks():
                await asyncio.sleep(0)
                yield chunk

        return streamed

    async def enter(self, client: Any) -> None:
        await client.__aenter__()

    async def leave(self, client: Any) -> None:
        await client.__aexit__(None, None, None)

    async def open(self, client: Any, request: Request) -> Any:
        content_type, data, announced = BODIES[request.body]
        headers = list(request.headers)
        root = client.app.config["APPLICATION_ROOT"].rstrip("/")
        if request.body:
            headers += [("Content-Type", content_type)] if content_type else []
            if announced:
                headers.append(("Content-Length", str(len(data))))
            else:
                headers.append(("Transfer-Encoding", "chunked"))
        try:
            async with asyncio.timeout(
                PATIENCE
            ):  # a request that hangs is a difference, and does not hang the test
                response = await client.open(
                    f"{root}{request.path}",
                    method=request.method,
                    headers=Headers(headers),
                    data=data,
                    scheme=client.app.config["PREFERRED_URL_SCHEME"],
                    root_path=root,
                )
            body = await response.get_data(as_text=False)
            return (response.status_code, describe_headers(response.headers), body)
        except BaseException as error:  # noqa: BLE001  # it is observed
            return ("raised", describe_error(error))


FLASK = FlaskSide()
FLASKLIKE = FlasklikeSide()
