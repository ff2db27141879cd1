"""The test client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context, copy_context
from datetime import UTC, datetime
from functools import partialmethod
from http.cookiejar import Cookie as StoredCookie
from importlib.metadata import version
from io import BytesIO
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import Request as CookieRequest

from quart.sessions import SessionMixin
from quart.testing import QuartClient
from quart.testing.connections import TestHTTPConnection
from werkzeug.datastructures import Headers
from werkzeug.http import dump_cookie, parse_cookie
from werkzeug.test import ClientRedirectError, Cookie

from quartapp.flasklike._upstream import cv_request, running_loop
from quartapp.flasklike.concurrency.awaiting import wait
from quartapp.flasklike.concurrency.blocks import enter_block, leave_block
from quartapp.flasklike.ctx import KEPT_CONTEXTS
from quartapp.flasklike.testing.requests import EnvironBuilder, Prepared, prepare
from quartapp.flasklike.testing.responses import TestResponse, class_for

T = TypeVar("T")

_USER_AGENT = f"Werkzeug/{version('werkzeug')}"


class HTTPClientConnection(TestHTTPConnection):
    """Returns a response with exactly the header fields that were sent."""

    async def as_response(self) -> TestResponse:
        """The response received so far."""
        sent = Headers(self.headers or ())  # a copy: the response's class adds to its headers
        response: Any = await super().as_response()
        response.headers = sent
        response.__class__ = class_for(type(response))  # type: ignore[arg-type]
        return response  # type: ignore[no-any-return]


class Client(QuartClient):
    """A test client that takes the arguments of Flask's client, and of Quart's.

    Where no event loop runs it is used as Flask's, without ``await`` and with a plain ``with``;
    else as Quart's. Its ``async with`` block keeps the contexts of the last request. As with
    Flask's client, the teardown functions of a request run when it ends. The contexts are then
    entered again. They are left, and the teardown functions called once more, at the next request
    or at the end of the block, which may be in another task. Requests use PREFERRED_URL_SCHEME and
    go below APPLICATION_ROOT.
    """

    http_connection_class = HTTPClientConnection

    def __init__(self, app: Any, response_wrapper: None = None, use_cookies: bool = True) -> None:
        super().__init__(app, use_cookies)
        self.application = app
        self.environ_base: dict[str, Any] = {
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": _USER_AGENT,
        }
        """What each request has, unless it says otherwise, as keys of a WSGI environment."""
        self._in_block = False
        self._kept: list[Any] = []
        self._entered: list[Any] = []
        self._entered_in: Context | None = None

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request; raise what the application lets through (PROPAGATE_EXCEPTIONS).

        See `quartapp.flasklike.testing.requests.prepare` for the arguments, and *follow_redirects*.
        The response, which is always complete (*buffered*), is awaited. Where no event loop runs,
        as in a plain test, it is returned at once.
        """
        sent = self._open(*args, **kwargs)
        return sent if running_loop() is not None else _wait_in_block(sent)

    delete = partialmethod(open, method="DELETE")
    get = partialmethod(open, method="GET")
    head = partialmethod(open, method="HEAD")
    options = partialmethod(open, method="OPTIONS")
    patch = partialmethod(open, method="PATCH")
    post = partialmethod(open, method="POST")
    put = partialmethod(open, method="PUT")
    trace = partialmethod(open, method="TRACE")

    async def _open(
        self, *args: Any, buffered: bool = True, follow_redirects: bool = False, **kwargs: Any
    ) -> TestResponse:
        sent = prepare(self.app, args, kwargs, self.environ_base)
        response = await self._exchange(sent)
        history: list[TestResponse] = []
        while follow_redirects and response.status_code in {301, 302, 303, 305, 307, 308}:
            if any(
                (response.location, response.status_code) == (one.location, one.status_code)
                for one in history
            ):
                raise ClientRedirectError(
                    f"Loop detected: A {response.status_code} redirect to {response.location}"
                    " was already made."
                )
            response.history = tuple(history)
            history.append(response)
            sent = self._redirected(sent, response)
            response = await self._exchange(sent)
        response.history = tuple(history)
        return response

    async def _exchange(self, sent: Prepared) -> TestResponse:
        await self._leave_contexts()
        self.push_promises = []
        scope = sent.scope
        host = sent.request.host.partition(":")[0]
        if self.cookie_jar is not None:
            cookies = [
                (b"cookie", f"{cookie.name}={cookie.value}".encode())
                for cookie in self.cookie_jar
                if _matches(cookie, host, scope["path"])
            ]
            scope["headers"] = [*scope["headers"], *cookies]
        if self._in_block:
            scope[KEPT_CONTEXTS] = self._kept
        connection = self.http_connection_class(self.app, scope)  # type: ignore[arg-type]
        try:
            async with connection:
                await connection.send(sent.body)
                await connection.send_complete()
        finally:  # as Flask's client has them if the body fails
            self._store(connection.headers or Headers(), host, scope["path"])
        response: Any = await connection.as_response()
        response.request = sent.request
        self.push_promises.extend(connection.push_promises)
        kept, self._kept = self._kept, []
        for context in kept:
            await context.push()
            self._entered.append(context)
            self._entered_in = copy_context()
        return response  # type: ignore[no-any-return]

    def _redirected(self, sent: Prepared, response: TestResponse) -> Prepared:
        """The request to where *response* leads, as a browser makes it."""
        url = urlsplit(response.location or "")
        environ = {**sent.request.environ, "wsgi.input": BytesIO(sent.body)}
        environ.pop("werkzeug.request", None)
        builder: Any = EnvironBuilder.from_environ(
            environ, app=self.app, path=url.path, query_string=url.query
        )
        builder.environ_base = {
            key: value for key, value in environ.items() if key.startswith("REMOTE_")
        }
        if url.netloc:
            before, after = builder.server_name, url.netloc.partition(":")[0]
            builder.url_scheme, builder.host = url.scheme or builder.url_scheme, url.netloc
            if after != before and after.endswith(f".{before}"):
                raise RuntimeError("Following subdomain redirects is not enabled.")
            if after != before:
                raise RuntimeError("Following external redirects is not supported.")
        root = builder.script_root
        if url.path == root or url.path.startswith(f"{root}/"):
            builder.path = url.path[len(root) :]
        else:
            builder.path, builder.script_root = url.path, ""
        if response.status_code not in {307, 308}:
            if builder.method != "HEAD":
                builder.method = "GET"
            builder.input_stream = builder.content_type = builder.content_length = None
            builder.headers.pop("Transfer-Encoding", None)
        builder.headers.pop("Cookie", None)
        return prepare(self.app, (builder,), {}, {})

    def _store(self, headers: Headers, host: str, path: str) -> None:
        if self.cookie_jar is not None:
            request = CookieRequest(f"http://{host}{path}")
            self.cookie_jar.extract_cookies(_Received(headers), request)  # type: ignore[arg-type]

    def get_cookie(self, key: str, domain: str = "localhost", path: str = "/") -> Cookie | None:
        """The cookie with this name, None if there is none. Raises TypeError without cookies."""
        for stored in self._jar():
            if stored.name == key and stored.path == path and _matches(stored, domain, path):
                return _as_werkzeugs(stored)
        return None

    def set_cookie(  # type: ignore[override]  # Flask's arguments and Quart's
        self, *args: str | None, origin_only: bool = True, **kwargs: Any
    ) -> None:
        """Set a cookie: ``set_cookie(key, value="", *, domain="localhost", ...)``, as in Flask.

        Three positional arguments are Quart's server_name, key and value. *kwargs* are the
        arguments of `werkzeug.http.dump_cookie`.
        """
        jar = self._jar()
        names = ("server_name", "key", "value") if len(args) == 3 else ("key", "value")
        kwargs.update(zip(names, args, strict=False))
        kwargs.setdefault("path", "/")
        if "server_name" in kwargs:
            host = kwargs.pop("server_name") or self.app.config["SERVER_NAME"] or "localhost"
        else:
            host = kwargs.pop("domain", "localhost")
            kwargs["domain"] = None if origin_only else host
        headers = Headers([("Set-Cookie", dump_cookie(**kwargs))])
        jar.extract_cookies(_Received(headers), CookieRequest(f"http://{host}{kwargs['path']}"))

    def delete_cookie(self, *args: str | None, **kwargs: Any) -> None:
        """Delete a cookie: ``delete_cookie(key)``, or with Quart's (server_name, key)."""
        if len(args) == 2:
            kwargs["server_name"], args = args[0], args[1:]
        self.set_cookie(*args, **kwargs, expires=0, max_age=0)

    def _jar(self) -> Any:
        if self.cookie_jar is None:
            raise TypeError("Cookies are disabled. Create a client with 'use_cookies=True'.")
        return self.cookie_jar

    def session_transaction(self, *args: Any, **kwargs: Any) -> "_Transaction":  # type: ignore[override]
        """The session that the next request will have, to read and change it in a block.

        Takes the arguments of `App.test_request_context`. Raises TypeError without cookies, and
        RuntimeError without a secret key.
        """
        return _Transaction(self._session_transaction(*args, **kwargs))

    @asynccontextmanager
    async def _session_transaction(self, *args: Any, **kwargs: Any) -> AsyncIterator[SessionMixin]:
        jar = self._jar()
        kwargs["environ_base"] = {**self.environ_base, **(kwargs.get("environ_base") or {})}
        context = self.app.test_request_context(*args, **kwargs)
        request: Any = context.request
        host = request.host.partition(":")[0]
        for cookie in jar:
            if _matches(cookie, host, request.path):
                request.headers.add("Cookie", f"{cookie.name}={cookie.value}")
        interface = self.app.session_interface
        ensure = self.app.ensure_async
        async with context:
            session = await ensure(interface.open_session)(self.app, request)
        if session is None:
            raise RuntimeError("Session backend did not open a session.")
        yield session
        if interface.is_null_session(session):
            return
        response = self.app.response_class()
        async with context:
            await ensure(interface.save_session)(self.app, session, response)
        self._store(response.headers, host, request.path)

    async def _leave_contexts(self) -> None:
        entered, self._entered = self._entered, []
        if entered and cv_request.get(None) is not entered[-1]:
            await asyncio.create_task(_pop(entered), context=self._entered_in)
        else:
            await _pop(entered)

    def __enter__(self) -> "Client":
        enter_block("async with client:")
        try:
            return wait(self.__aenter__())
        except BaseException:
            leave_block()
            raise

    def __exit__(self, exc_type: Any, exc_value: Any, tb: Any) -> None:
        try:
            wait(self.__aexit__(exc_type, exc_value, tb))
        finally:
            leave_block()

    async def __aenter__(self) -> "Client":
        if self._in_block:
            raise RuntimeError("Cannot nest client invocations")
        self._in_block = True
        return self

    async def __aexit__(self, exc_type: type, exc_value: BaseException, tb: TracebackType) -> None:
        self._in_block = False
        await self._leave_contexts()


class _Transaction:
    """A block with a session, ``async with`` or, where no event loop runs, ``with``."""

    def __init__(self, block: AbstractAsyncContextManager[SessionMixin]) -> None:
        self._block = block

    async def __aenter__(self) -> SessionMixin:
        return await self._block.__aenter__()

    async def __aexit__(self, *raised: Any) -> bool | None:
        return await self._block.__aexit__(*raised)

    def __enter__(self) -> SessionMixin:
        enter_block("async with client.session_transaction() as session:")
        try:
            return wait(self._block.__aenter__())
        except BaseException:
            leave_block()
            raise

    def __exit__(self, *raised: Any) -> bool | None:
        try:
            return wait(self._block.__aexit__(*raised))
        finally:
            leave_block()


def _wait_in_block(awaitable: Awaitable[T]) -> T:
    enter_block("await")
    try:
        return wait(awaitable)
    finally:
        leave_block()


async def _pop(contexts: list[Any]) -> None:
    for context in reversed(contexts):
        await context.pop(None)


class _Received:
    """Header fields as `http.cookiejar` reads them from a response."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def info(self) -> "_Received":
        return self

    def get_all(self, name: str, default: Any = None) -> Iterable[str]:
        return self._headers.getlist(name) or default or []


def _matches(cookie: StoredCookie, host: str, path: str) -> bool:
    name = host if "." in host else f"{host}.local"  # as the jar stores "localhost"
    domain, below = cookie.domain.lstrip("."), cookie.path.rstrip("/") + "/"
    return (name == domain or (cookie.domain_specified and name.endswith(f".{domain}"))) and (
        path == cookie.path or path.startswith(below)
    )


def _as_werkzeugs(stored: StoredCookie) -> Cookie:
    value = stored.value or ""
    decoded = parse_cookie(f"{stored.name}={value}")
    [(decoded_key, decoded_value)] = decoded.items()
    expires = None if stored.expires is None else datetime.fromtimestamp(stored.expires, UTC)
    return Cookie(
        key=stored.name,
        value=value,
        decoded_key=decoded_key,
        decoded_value=decoded_value,
        expires=expires,
        max_age=None,
        domain=stored.domain.removesuffix(".local"),
        origin_only=not stored.domain_specified,
        path=stored.path,
        secure=stored.secure,
        http_only=stored.has_nonstandard_attr("HttpOnly"),
        same_site=stored.get_nonstandard_attr("SameSite"),
    )
