"""Application, request and websocket contexts, and streams that keep them.

A context ends with the error that it is given. It can also be suspended and resumed without ending.
A stream needs this, because its parts may be produced in other tasks than the view's.
"""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextvars import ContextVar, Token
from functools import update_wrapper, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self

import quart
from quart.ctx import AppContext as QuartAppContext
from quart.ctx import RequestContext as QuartRequestContext
from quart.ctx import WebsocketContext as QuartWebsocketContext
from quart.ctx import after_this_request as after_this_request
from quart.ctx import after_this_websocket as after_this_websocket
from quart.ctx import copy_current_app_context as copy_in_app_context
from quart.ctx import copy_current_request_context as copy_in_request_context
from quart.ctx import copy_current_websocket_context as copy_current_websocket_context
from quart.ctx import has_app_context as has_app_context
from quart.ctx import has_request_context as has_request_context
from quart.ctx import has_websocket_context as has_websocket_context
from quart.sessions import SessionMixin
from quart.signals import appcontext_popped, appcontext_pushed
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.exceptions import HTTPException

from quartapp.flasklike._upstream import cv_app, cv_request, cv_websocket, running_loop
from quartapp.flasklike.concurrency.awaiting import can_wait, wait
from quartapp.flasklike.concurrency.blocks import enter_block, leave_block
from quartapp.flasklike.concurrency.threads import ThreadOwner, has_thread_owner, iterate_in_thread
from quartapp.flasklike.extensions import (
    FlaskTokens,
    enter_flask_contexts,
    explain,
    leave_flask_contexts,
)
from quartapp.flasklike.groups import raise_all
from quartapp.flasklike.signals import send_signal

if TYPE_CHECKING:
    from quart import Quart

KEPT_CONTEXTS = "flasklike.kept_contexts"
"""In a request's scope: a list to which its contexts are added, for the test client to enter
them again."""

_NOT_GIVEN: Any = object()
_ERRORS = "Errors during context teardown"

_QUARTS_STREAM = quart.stream_with_context.__code__

P = ParamSpec("P")


def _reset(variable: ContextVar[Any], token: Token[Any]) -> None:
    try:
        variable.reset(token)
    except ValueError:  # set in another task, as by a test client in a fixture
        previous = None if token.old_value is Token.MISSING else token.old_value
        variable.set(previous)


class _Block(ThreadOwner):
    """A context as a block.

    The synchronous functions of the task that enters it share a thread until it is left; in a
    request they share the request's. A plain ``with`` can enter it in a thread of a request, and in
    one that has no event loop.
    """

    enter: Callable[[], Awaitable[None]]
    leave: Callable[[Any], Awaitable[None]]
    _cv_tokens: list[Any]
    _entered_in: asyncio.Task[Any] | None = None
    _flask_tokens: tuple[FlaskTokens, ...] = ()
    written = "async with app.app_context():"

    def push(self) -> Any:
        """Enter it; to be awaited, but in synchronous code, where it has a block until `pop`."""
        if running_loop() is not None and not can_wait():
            return self.enter()
        enter_block("await context.push()")
        try:
            return wait(self.enter())
        except BaseException:
            leave_block()
            raise

    def pop(self, exc: BaseException | None = _NOT_GIVEN) -> Any:
        """Leave it; to be awaited, but in synchronous code."""
        if running_loop() is not None and not can_wait():
            return self.leave(exc)
        if exc is _NOT_GIVEN:
            exc = sys.exc_info()[1]
        try:
            return wait(self.leave(exc))
        finally:
            leave_block()

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is not None and not has_thread_owner(task):
            self._entered_in = task
            self.own_thread_of(task)
        try:
            await self.enter()
        except BaseException:
            self._leave_thread()
            raise
        return self

    async def __aexit__(self, exc_type: type, exc_value: BaseException, tb: TracebackType) -> None:
        block: Any = super()
        # What a block of coroutines alone has opened is closed in their thread: sqlite3 insists.
        self.stays = self._entered_in is not None
        try:
            await block.__aexit__(exc_type, exc_value, tb)
        finally:
            if not self._cv_tokens:
                self._leave_thread()

    def _leave_thread(self) -> None:
        task, self._entered_in = self._entered_in, None
        if task is not None:
            self.give_back_thread(task)

    def __enter__(self) -> Self:
        if running_loop() is not None and not can_wait():
            enter_block(self.written)  # raises what says what to write
        self.push()
        self._flask_tokens = (*self._flask_tokens, enter_flask_contexts())
        return self

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        *rest, tokens = self._flask_tokens
        self._flask_tokens = tuple(rest)
        leave_flask_contexts(tokens)
        self.pop(error)


class AppContext(_Block, QuartAppContext):
    """The application context."""

    async def enter(self) -> None:
        """Enter it and send `appcontext_pushed`."""
        self.resume()
        await send_signal(appcontext_pushed, self.app)

    async def leave(self, exc: BaseException | None = _NOT_GIVEN) -> None:
        """Leave it. If it was entered once, run the teardown functions with *exc*.

        Without *exc*, they get the exception that is being handled.
        """
        errors: list[BaseException] = []
        if len(self._cv_tokens) == 1:
            if exc is _NOT_GIVEN:
                exc = sys.exc_info()[1]
            explain(exc)
            try:
                await self.app.do_teardown_appcontext(exc)
            except BaseException as error:
                errors.append(error)
        current = cv_app.get(None)
        self.suspend()
        if current is not self:
            text = f"Popped wrong app context. ({current!r} instead of {self!r})"
            errors.append(AssertionError(text))
        else:
            try:
                await send_signal(appcontext_popped, self.app)
            except BaseException as error:
                errors.append(error)
        if errors:
            raise_all(_ERRORS, errors)

    def suspend(self) -> None:
        """Leave it for now: no teardown function runs, and no signal is sent."""
        _reset(cv_app, self._cv_tokens.pop())

    def resume(self) -> None:
        """Make it the current context again."""
        self._cv_tokens.append(cv_app.set(self))


class _Context(_Block):
    """What request and websocket contexts share."""

    app: "Quart"
    request_websocket: BaseRequestWebsocket
    _session: SessionMixin | None
    _cv_tokens: list[tuple[Token[Any], QuartAppContext | None]]
    written = "async with app.test_request_context(...):"
    _variable: ContextVar[Any]
    _app_context: QuartAppContext | None = None

    def _set_up(
        self, app: "Quart", request: BaseRequestWebsocket, session: SessionMixin | None
    ) -> None:
        self.app = app
        self.request_websocket = request
        self.url_adapter = None
        self.preserved = False
        self._session = session
        self._cv_tokens = []
        request.routing_exception = None
        request.json_module = app.json
        try:
            self.url_adapter = app.create_url_adapter(request)
        except HTTPException as error:  # an untrusted or impossible host
            request.routing_exception = error

    @property
    def session(self) -> SessionMixin:
        """The session. Reading it counts as an access: the answer will vary by cookie."""
        if self._session is None:
            raise AssertionError("The session has not yet been opened.")
        self._session.accessed = True
        return self._session

    @session.setter
    def session(self, session: SessionMixin) -> None:
        self._session = session

    async def enter(self) -> None:
        """Enter it, and an application context unless the application's is current.

        Then open the session, unless it is open, and match the URL.
        """
        current = cv_app.get(None)
        own: Any = self._app_context
        if own is None and (current is None or current.app is not self.app):
            own = self.app.app_context()
        self._cv_tokens.append((self._variable.set(self), own))
        if own is not None:
            await own.enter()
        if self._session is None:
            interface = self.app.session_interface
            self._session = await self.app.ensure_async(interface.open_session)(
                self.app, self.request_websocket
            )
            if self._session is None:
                self._session = await interface.make_null_session(self.app)
        if self.url_adapter is not None:
            self.match_request()  # type: ignore[attr-defined]  # Quart's

    async def leave(self, exc: BaseException | None = _NOT_GIVEN) -> None:
        """Leave it. If it was entered once, run the teardown functions with *exc*.

        Without *exc*, they get the exception that is being handled.
        """
        errors: list[BaseException] = []
        if len(self._cv_tokens) == 1:
            if exc is _NOT_GIVEN:
                exc = sys.exc_info()[1]
            try:
                await self._tear_down(exc)
            except BaseException as error:
                errors.append(error)
        current = self._variable.get(None)
        token, app_context = self._cv_tokens.pop()
        _reset(self._variable, token)
        if app_context is not None:
            try:
                await app_context.leave(exc)  # type: ignore[attr-defined]  # typed as Quart's
            except BaseException as error:
                errors.append(error)
        if current is not self:
            text = f"Popped wrong request context. ({current!r} instead of {self!r})"
            errors.append(AssertionError(text))
        if errors:
            raise_all(_ERRORS, errors)

    def suspend(self) -> None:
        """Leave it for now: no teardown function runs."""
        token, _ = self._cv_tokens.pop()
        _reset(self._variable, token)

    def resume(self) -> None:
        """Make it the current context again, within the current application context."""
        self._cv_tokens.append((self._variable.set(self), None))

    async def _tear_down(self, exc: BaseException | None) -> None:
        raise NotImplementedError


class RequestContext(_Context, QuartRequestContext):  # type: ignore[misc]  # a property
    """The context of a request."""

    _variable = cv_request

    def __init__(self, app: "Quart", request: Any, session: SessionMixin | None = None) -> None:
        self.flashes = None
        self._after_request_functions = []
        self._set_up(app, request, session)

    def copy(self) -> "RequestContext":
        """A new context of the same request and session.

        It is entered with a new application context, whose `g` is empty, but for the streams of
        `quart.stream_with_context` with the current one, as flasklike's function does.
        """
        copied = self.__class__(self.app, self.request, self._session)
        frame = inspect.currentframe()
        caller = None if frame is None else frame.f_back
        if caller is not None and caller.f_code is _QUARTS_STREAM:
            copied._app_context = cv_app.get(None)
        return copied

    async def _tear_down(self, exc: BaseException | None) -> None:
        try:
            await self.app.do_teardown_request(exc, self)
        finally:
            close = getattr(self.request_websocket, "close", None)
            if close is not None:
                await close()
        failed = self.request_websocket.routing_exception
        if failed is not None and failed is not exc and failed is not sys.exc_info()[1]:
            # The frames of its tracebacks hold the request, which holds it. (An error that is
            # ignored, so that *exc* is None, may still be raised.)
            failed.__traceback__ = failed.__context__ = None


class WebsocketContext(_Context, QuartWebsocketContext):  # type: ignore[misc]  # as above
    """The context of a websocket connection."""

    _variable = cv_websocket

    def __init__(self, app: "Quart", request: Any, session: SessionMixin | None = None) -> None:
        self._after_websocket_functions = []
        self._set_up(app, request, session)

    def copy(self) -> "WebsocketContext":
        """A new context of the same connection and session."""
        return self.__class__(self.app, self.websocket, self._session)

    async def _tear_down(self, exc: BaseException | None) -> None:
        await self.app.do_teardown_websocket(exc, self)


def copy_current_request_context(function: Callable[P, Any]) -> Callable[P, Any]:
    """Make *function* run in a copy of the request's context, also in another task or thread.

    What is returned is awaited, as in Quart. Called where no event loop runs, as in a thread that a
    view has started, it returns the result itself, as in Flask. The teardown functions run when
    *function* has ended. Each call has a copy, so that several threads may call what is returned.

    Raises RuntimeError outside a request.
    """
    copied_by_quart = copy_in_request_context(function)  # which raises outside a request
    copied = cv_request.get().copy()

    @wraps(copied_by_quart)
    async def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        async with copied.copy():
            return await copied.app.ensure_async(function)(*args, **kwargs)

    return _or_at_once(call)


def copy_current_app_context(function: Callable[P, Any]) -> Callable[P, Any]:
    """Like `copy_current_request_context`, for the application's context."""
    return _or_at_once(copy_in_app_context(function))


def _or_at_once(call: Callable[P, Any]) -> Callable[P, Any]:
    @wraps(call)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        if can_wait():
            return wait(call(*args, **kwargs))
        if running_loop() is None:
            return asyncio.run(call(*args, **kwargs))
        return call(*args, **kwargs)

    return run


def stream_with_context(generator_or_function: Any) -> Any:
    """Keep the request's and the application's context while a stream produces its parts.

    Takes a generator, asynchronous or not, and returns an asynchronous one. Takes a function that
    returns such a generator, and returns such a function. The contexts are those that are current
    now, with the same `g` and session. Between two parts they are not current. As in Flask the
    teardown functions run when the request ends, before the stream begins, and once more when the
    stream ends, with the error that ended it (GeneratorExit when the client left).

    Raises RuntimeError outside a request.
    """
    if isinstance(generator_or_function, AsyncIterator):
        parts = generator_or_function
    elif isinstance(generator_or_function, Iterable):
        parts = iterate_in_thread(iter(generator_or_function))
    else:
        return _stream_of_function(generator_or_function)
    request_context = cv_request.get(None)
    if request_context is None:
        raise RuntimeError(
            "'stream_with_context' can only be used when a request"
            " context is active, such as in a view function."
        )
    return _stream_in_contexts(cv_app.get(), request_context, parts)


def _stream_of_function(function: Callable[..., Any]) -> Callable[..., Any]:
    def decorator(*args: Any, **kwargs: Any) -> Any:
        return stream_with_context(function(*args, **kwargs))

    return update_wrapper(decorator, function)


async def _stream_in_contexts(
    app_context: Any, request_context: Any, parts: AsyncIterator[Any]
) -> AsyncIterator[Any]:
    error: BaseException | None = None
    await app_context.enter()
    try:
        await request_context.enter()
        try:
            async for part in parts:
                request_context.suspend()
                app_context.suspend()
                try:
                    yield part
                finally:
                    app_context.resume()
                    request_context.resume()
        except BaseException as raised:
            error = raised
            raise
        finally:
            try:
                close = getattr(parts, "aclose", None)
                if close is not None:
                    await close()
            finally:
                await request_context.leave(error)
    finally:
        await app_context.leave(error)
