"""What is known of the request or websocket under way, and which errors were recorded in it.

An error shows itself at several doors: it is logged, signalled, escapes, and leaves as a 5xx. The
mark that `mark` puts on an exception, and the scope's own, make one record of all these.
"""

import time
from contextvars import ContextVar
from dataclasses import dataclass

from quart.wrappers.base import BaseRequestWebsocket

_MARK = "__quartapp_recorded__"
_LIFETIME_OUTSIDE = 60.0


@dataclass(eq=False, slots=True)
class Scope:
    """One request or websocket, from the guard's point of view.

    `explained`: something was recorded in it, so a 5xx at its end is no news. `expected`: the
    name of an exception from the rule that every 5xx is recorded (see `expect`). `logged`: the
    exception that the log has seen last.
    """

    explained: bool = False
    expected: str = ""
    request: BaseRequestWebsocket | None = None
    logged: BaseException | None = None
    reference: str = ""


current_scope: ContextVar[Scope | None] = ContextVar("quartapp_reporting_scope", default=None)


def expect(name: str) -> None:
    """Let the 5xx response of this request pass without a record; it is counted under `name`.

    For answers that are no errors: the 503 of a readiness probe, of an admission limit.
    """
    scope = current_scope.get()
    if scope is not None:
        scope.expected = name


def mark(error: BaseException) -> None:
    """Remember that an exception is recorded, in the scope in which it was."""
    scope = current_scope.get()
    # Past a `__setattr__` of the application: frozen dataclasses can be exceptions.
    BaseException.__setattr__(error, _MARK, (scope, time.monotonic()))


def is_marked(error: BaseException) -> bool:
    """Whether this occurrence of the exception is recorded already.

    One object can be raised many times (`ERROR = ValueError()`, raised by each request): the mark
    of another request does not count, and outside of requests it holds for a minute.
    """
    try:
        where, when = BaseException.__getattribute__(error, _MARK)
    except AttributeError:
        return False
    scope = current_scope.get()
    if where is not None and scope is not None:
        return bool(where is scope)
    return bool(time.monotonic() - when < _LIFETIME_OUTSIDE)
