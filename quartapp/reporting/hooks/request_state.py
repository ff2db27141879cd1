"""The state that reporting keeps of the current request or websocket.

An error reaches several mechanisms: it is logged and signalled, escapes, and becomes a 5xx. The
attribute that `mark` sets on an exception, and `RequestState.recorded`, ensure a single record.
"""

import secrets
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from quart import current_app, g, has_app_context, has_request_context, has_websocket_context
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.exceptions import HTTPException

from quartapp.redact.chain import is_group, leaves
from quartapp.redact.reading import ExceptionReading
from quartapp.reporting.references import ALPHABET, LENGTH

_MARK = "__quartapp_recorded__"
_LIFETIME_OUTSIDE = 60.0


@dataclass(eq=False, slots=True)
class RequestState:
    """The state of one request or websocket.

    `recorded`: an error was recorded in it, so its 5xx response needs no record. `refused`: the
    journal did not take it, or another one. `expected`: the
    name under which a 5xx is counted instead of recorded (see `expect`). `logged`: the exception
    that was logged last. `reference`: see `error_reference`. `group`: the fingerprint of the first
    recorded error. `reading`: that of the last recorded exception, for its log line. `repeated`:
    that exception, if it was only counted.
    """

    recorded: bool = False
    refused: bool = False
    expected: str = ""
    request: BaseRequestWebsocket | None = None
    logged: BaseException | None = None
    reference: str = ""
    group: str = ""
    reading: ExceptionReading | None = None
    repeated: BaseException | None = None

    def is_expected(self, status: int, app: Any) -> bool:
        """Whether a 5xx response of this request is counted instead of recorded, such as the 503
        of a stopping server."""
        is_stop = status == HTTPStatus.SERVICE_UNAVAILABLE and getattr(app, "stopping", False)
        if is_stop and not self.recorded:
            self.expected = self.expected or "stopping"
        return bool(self.expected)


current_state: ContextVar[RequestState | None] = ContextVar(
    "quartapp_reporting_request", default=None
)


def expect(name: str) -> None:
    """Count the 5xx response of this request under `name` instead of recording it.

    For responses that are not errors: the 503 of a readiness probe or of an admission limit.
    """
    state = current_state.get()
    if state is not None:
        state.expected = name


def error_reference() -> str:
    """The short reference of this request's error: created at the first call, then the same.

    The client sees it, and the operator finds it in the log. It is stored in the `RequestState`,
    which outlives the request's context, otherwise in the application context. Without both, each
    call creates a new one.
    """
    state = current_state.get()
    if state is not None:
        state.reference = state.reference or _new_reference()
        return state.reference
    if not has_app_context():
        return _new_reference()
    if "error_reference" not in g:
        g.error_reference = _new_reference()
    return cast(str, g.error_reference)


def in_request() -> bool:
    """Whether this code serves a request or websocket, even if its context has ended."""
    return current_state.get() is not None or has_request_context() or has_websocket_context()


def has_reference(status: int) -> bool:
    """Whether a response with this status is recorded, so that its reference leads to a report."""
    state = current_state.get()
    return status >= 500 and (
        state is None or state.recorded or not state.is_expected(status, current_app)
    )


def mark(error: BaseException) -> None:
    """Mark an exception as recorded in the current request."""
    state = current_state.get()
    # Not `setattr`: an exception can be a frozen dataclass.
    BaseException.__setattr__(error, _MARK, (state, time.monotonic()))


def is_marked(error: BaseException) -> bool:
    """Whether this occurrence of the exception is already recorded; of a group, all its members.

    One object can be raised many times (`ERROR = ValueError()`, raised by each request): the mark
    of another request does not count, and outside requests a mark is valid for a minute.
    """
    try:
        where, when = BaseException.__getattribute__(error, _MARK)
    except AttributeError:
        members = list(errors_in(error)) if is_group(error) else []
        return bool(members) and all(is_marked(member) for member in members)
    state = current_state.get()
    if where is not None and state is not None:
        return bool(where is state)
    return bool(time.monotonic() - when < _LIFETIME_OUTSIDE)


def errors_in(group: BaseException) -> Iterator[BaseException]:
    """The members of an unhandled group that are to be recorded: all but what clients did."""
    for leaf in leaves(group):
        code = getattr(type(leaf), "code", None) if isinstance(leaf, HTTPException) else None
        if type(code) is not int or code >= 500:
            yield leaf


def _new_reference() -> str:
    # One number for all characters: each call is a system call, in which another thread may run.
    # Written out, and not `reference_of`, whose module would be one more on the way of an error.
    number = secrets.randbelow(len(ALPHABET) ** LENGTH)
    found = ""
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        found += ALPHABET[digit]
    return found
