"""The request or websocket under way as reporting sees it: its reference, and what was recorded.

An error reaches several mechanisms: it is logged, signalled, escapes, and leaves as a 5xx. The mark
that `mark` puts on an exception, and `RequestState.recorded`, make one record of all these.
"""

import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from quart import current_app, g, has_app_context, has_request_context, has_websocket_context
from quart.wrappers.base import BaseRequestWebsocket

from quartapp.redact.reading import ExceptionReading

_MARK = "__quartapp_recorded__"
_LIFETIME_OUTSIDE = 60.0

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that is misread on the telephone
_LENGTH = 8


@dataclass(eq=False, slots=True)
class RequestState:
    """One request or websocket, as reporting sees it.

    `recorded`: something was recorded in it, so a 5xx at its end needs no record. `expected`: the
    name under which a 5xx is counted instead of recorded (see `expect`). `logged`: the exception
    that was logged last. `reference`: see `error_reference`. `group`: the
    fingerprint of the first error that was recorded in it. `reading`: of the exception that was
    recorded last, for the line that logs it.
    """

    recorded: bool = False
    expected: str = ""
    request: BaseRequestWebsocket | None = None
    logged: BaseException | None = None
    reference: str = ""
    group: str = ""
    reading: ExceptionReading | None = None

    def is_expected(self, status: int, app: Any) -> bool:
        """Whether a 5xx response of this request is counted instead of recorded; the 503 of a
        stopping server is."""
        is_stop = status == HTTPStatus.SERVICE_UNAVAILABLE and getattr(app, "stopping", False)
        if is_stop and not self.recorded:
            self.expected = self.expected or "stopping"
        return bool(self.expected)


current_state: ContextVar[RequestState | None] = ContextVar(
    "quartapp_reporting_request", default=None
)


def expect(name: str) -> None:
    """Let the 5xx response of this request pass without a record; it is counted under `name`.

    For answers that are no errors: the 503 of a readiness probe, of an admission limit.
    """
    state = current_state.get()
    if state is not None:
        state.expected = name


def error_reference() -> str:
    """The short reference of this request's error: made at the first call, then always the same.

    The client sees it, and the operator finds it in the log. It is kept in the `RequestState`,
    which outlives the request's context; without one in the application context. Outside of both
    each call makes a new one.
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
    """Whether a request or websocket is under way, even if its context has ended."""
    return current_state.get() is not None or has_request_context() or has_websocket_context()


def has_reference(status: int) -> bool:
    """Whether a response of this status is recorded, so that its reference leads to a report."""
    state = current_state.get()
    return status >= 500 and (
        state is None or state.recorded or not state.is_expected(status, current_app)
    )


def mark(error: BaseException) -> None:
    """Remember that an exception is recorded, and in which request."""
    state = current_state.get()
    # Not `setattr`: an exception can be a frozen dataclass.
    BaseException.__setattr__(error, _MARK, (state, time.monotonic()))


def is_marked(error: BaseException) -> bool:
    """Whether this occurrence of the exception is recorded already.

    One object can be raised many times (`ERROR = ValueError()`, raised by each request): the mark
    of another request does not count, and outside of requests it holds for a minute.
    """
    try:
        where, when = BaseException.__getattribute__(error, _MARK)
    except AttributeError:
        return False
    state = current_state.get()
    if where is not None and state is not None:
        return bool(where is state)
    return bool(time.monotonic() - when < _LIFETIME_OUTSIDE)


def _new_reference() -> str:
    # one number for all characters: each is a system call, during which another thread may run
    number = secrets.randbelow(len(_ALPHABET) ** _LENGTH)
    found = ""
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        found += _ALPHABET[digit]
    return found
