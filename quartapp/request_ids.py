"""The ids of a request: by which its log lines, its error reports and other systems are found.

`RequestIds(app)` gives each request and websocket an id, which the response has as `X-Request-ID`,
and a trace id and a span id of W3C's Trace Context (https://www.w3.org/TR/trace-context/). They are
taken from the header fields of trusted proxies, where they are valid; otherwise they are made here.
None of them is a secret.
"""

import os
import re
import sys
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import ContextVar
from random import Random
from typing import Any, Self, cast

from pydantic import Field
from quart import Quart
from werkzeug.exceptions import HTTPException

from quartapp.flasklike import App, Response
from quartapp.flasklike.wrappers.response import convert_response
from quartapp.installation import OUTERMOST, Outer, check_installable, wrap_outermost
from quartapp.settings import PartSettings

HEADER = b"x-request-id"

_VALID = re.compile("[A-Za-z0-9_.:@+/=-]{1,128}")
_TRACEPARENT = re.compile(
    "(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})"
)
_TRACEPARENT_LENGTH = 55
"""That of version 00. A later version may have more, behind a hyphen."""

_LONGEST_STATE = 512
"""Characters of `tracestate` that are passed on: as many as its specification wants at least."""
_STATE = re.compile("[ -~]+")

_STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
_IN_SCOPE = "quartapp.request_ids"
_NAMES = {HEADER: "request", b"traceparent": "trace", b"tracestate": "state"}

_random = Random()  # the ids are no secrets, and a system call would cost each request
os.register_at_fork(after_in_child=_random.seed)


class RequestIdSettings(PartSettings):
    """Whose header fields are trusted."""

    proxy_hops: int = Field(default=0, ge=0, le=10)
    """How many proxies are in front of the server. With none, all header fields are a client's."""


class Ids:
    """The ids of one request. `trace_state` is what came as `tracestate`, unchanged."""

    __slots__ = ("request_id", "span_id", "trace_flags", "trace_id", "trace_state")

    def __init__(self) -> None:
        made = _random.getrandbits(320).to_bytes(40, "big").hex()
        self.request_id, self.trace_id, self.span_id = made[:32], made[32:64], made[64:]
        self.trace_flags = "00"
        self.trace_state = ""

    @classmethod
    def of_proxy(cls, headers: Any) -> Self:
        """Those that a trusted proxy has sent; what is missing, invalid or ambiguous is made."""
        found: dict[str, list[str]] = {"request": [], "trace": [], "state": []}
        for name, value in headers:
            kind = _NAMES.get(name.lower())
            if kind is not None:
                found[kind].append(value.decode("latin-1"))
        ids = cls()
        if len(found["request"]) == 1 and _VALID.fullmatch(found["request"][0]):
            [ids.request_id] = found["request"]
        trace = parsed_traceparent(found["trace"])
        if trace is not None:
            ids.trace_id, ids.trace_flags = trace
            state = ",".join(found["state"])
            if len(state) <= _LONGEST_STATE and _STATE.fullmatch(state):
                ids.trace_state = state
        return ids

    def headers(self) -> dict[str, str]:
        """The header fields of a request to another service on behalf of this one."""
        traceparent = f"00-{self.trace_id}-{self.span_id}-{self.trace_flags}"
        fields = {"X-Request-ID": self.request_id, "traceparent": traceparent}
        return fields | ({"tracestate": self.trace_state} if self.trace_state else {})

    def __deepcopy__(self, _memo: object) -> Self:
        """Itself: it is in the scope, of which Hypercorn's ProxyFixMiddleware makes a copy."""
        return self


current: ContextVar[Ids | None] = ContextVar("quartapp_request_ids", default=None)
"""See `current_ids`."""


def current_ids() -> Ids | None:
    """Those of the current request, also in its tasks and threads; None outside of one, or in an
    application without RequestIds."""
    return current.get()


def request_id() -> str:
    """The id of the current request; "" where `current_ids` is None."""
    ids = current.get()
    return ids.request_id if ids is not None else ""


def trace_id() -> str:
    """The trace id of OpenTelemetry's current span, if it is used, or of the current request."""
    return current_trace()[0]


def current_trace() -> tuple[str, str]:
    """The same, and the span id that belongs to it; each "" where there is none."""
    opentelemetry: Any = sys.modules.get("opentelemetry.trace")
    if opentelemetry is not None:
        with suppress(Exception):  # it is somebody else's, and this may be for a log line
            context = opentelemetry.get_current_span().get_span_context()
            if context.is_valid:
                return f"{context.trace_id:032x}", f"{context.span_id:016x}"
    ids = current.get()
    return (ids.trace_id, ids.span_id) if ids is not None else ("", "")


def parsed_traceparent(given: list[str]) -> tuple[str, str] | None:
    """The trace id and the flags of a `traceparent`; None if it is missing, repeated or invalid."""
    if len(given) != 1:
        return None
    value, more = given[0][:_TRACEPARENT_LENGTH], given[0][_TRACEPARENT_LENGTH:]
    found = _TRACEPARENT.fullmatch(value)
    is_valid = not more or (more.startswith("-") and not value.startswith("00"))
    return (found[1], found[2]) if found and is_valid else None


class RequestIds:
    """Gives the requests of an application their ids.

    With `trusted` the ids of header fields are used, which a proxy has to set or to remove; the
    default is to trust them where PROXY_HOPS in `app.config` is 1 or more.
    """

    def __init__(self, app: Quart | None = None, *, trusted: bool | None = None) -> None:
        self._trusted = trusted
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Give ids to this application's requests too.

        Raises ConfigurationError for wrong settings, and RuntimeError if the application has them
        already, or has begun to serve.
        """
        check_installable(app, RequestIds, "request_ids")
        hops = RequestIdSettings.from_config(app.config).proxy_hops
        trusted = bool(hops) if self._trusted is None else self._trusted
        app.extensions["request_ids"] = self

        def wrap() -> None:
            wrap_outermost(app, lambda inner: _RequestIdMiddleware(inner, trusted), OUTERMOST)

        wrap()

        @app.before_serving
        async def wrap_again() -> None:  # around what was wrapped meanwhile
            wrap()
            if isinstance(app, App):
                _add_to_last_resort(app)


class _RequestIdMiddleware(Outer):
    """ASGI middleware that begins with a request's ids, and adds them to its response."""

    def __init__(self, inner: Any, trusted: bool) -> None:
        super().__init__(inner, OUTERMOST)
        self._trusted = trusted

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in {"http", "websocket"} or _IN_SCOPE in scope:
            await self.asgi_app(scope, receive, send)
            return
        ids = Ids.of_proxy(scope["headers"]) if self._trusted else Ids()
        scope[_IN_SCOPE] = ids

        def send_with_id(message: Any) -> Awaitable[None]:
            if message["type"] in _STARTS:
                headers = message["headers"] = list(message.get("headers") or ())
                if HEADER not in dict(headers):  # else the application has set it
                    headers.append((HEADER, ids.request_id.encode()))
            sent: Awaitable[None] = send(message)
            return sent

        token = current.set(ids)
        try:
            await self.asgi_app(scope, receive, send_with_id)
        finally:
            current.reset(token)


def _add_to_last_resort(app: App) -> None:
    """A stopping server gives its last answers outside of all middleware."""
    answer = app.last_resort

    def last_resort(scope: Any, error: HTTPException) -> Response:
        made: Any = answer(scope, error) if answer else convert_response(error, Response)
        if (ids := scope.get(_IN_SCOPE)) is not None:
            made.headers.setdefault("X-Request-ID", ids.request_id)
        return cast(Response, made)

    app.last_resort = last_resort
