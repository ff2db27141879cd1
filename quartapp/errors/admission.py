"""Admission: under overload some requests wait or get a 503, so that the others are answered soon.

Overload is measured as delay: how late the timers of the event loop fire. A request that only waits
(for a timer, a client, a database) does not delay the loop and does not count as load; a count of
open requests could not distinguish it from one that computes. The rule follows CoDel (RFC 8289): a
delay that persists for an interval is a standing queue, and the remedy is to admit less.

- While the lag is at most REQUEST_MAX_LAG, requests are admitted up to REQUEST_LIMIT open ones.
- While it is larger, the limit for new requests (open, and admitted within the last second) falls;
  it rises again when the lag is small.
- Further requests wait in order of arrival: at most REQUEST_QUEUE requests, for at most
  REQUEST_QUEUE_TIMEOUT seconds. A request that waits too long, or finds the queue full, gets 503
  before the application does any work for it.

/health and /ready are always answered. A response that goes on for hours gives up its place with
`leave`.
"""

import asyncio
import math
import time
from collections import deque
from contextlib import suppress
from contextvars import Context, ContextVar
from html import escape
from typing import Any

from quart import Quart

from quartapp.errors.forms import sent_form
from quartapp.errors.handlers import RETRY_AFTER
from quartapp.errors.refusal import refuse
from quartapp.errors.settings import AdmissionSettings
from quartapp.errors.site import Site
from quartapp.flasklike.asgi.scope import path_of

EXPECTED = "admission"
"""The name under which reporting counts refused requests, which are not errors."""

TICK = 0.01
"""Seconds between two measurements of the lag, while requests are open."""

INTERVAL = 0.1
"""Seconds for which a delay must persist to count as a standing queue, as in CoDel."""

_COHORTS = 10  # intervals for which a request counts as new
_START = 256.0
_LEAST = 4.0
_ALWAYS = frozenset({"/health", "/ready"})

_TRY_AGAIN = '<p><a href="">Try again</a></p>'


def wrap(app: Quart, site: Site) -> None:
    """Add admission to an application. Reads `app.config` (see `AdmissionSettings`)."""
    settings = AdmissionSettings.from_config(app.config)
    if settings.request_limit:
        site.admission = Admission(app.asgi_app, settings, site)
        app.asgi_app = site.admission  # type: ignore[method-assign]  # Quart's documented place


_place: ContextVar[list[Any]] = ContextVar("quartapp.errors.admission")
"""Where the current request is counted: by which Admission, in which cohort; empty if nowhere."""


def leave() -> None:
    """Count the current request no more: what follows is a stream that mostly waits.

    Without an Admission, and after the first call, this does nothing.
    """
    if place := _place.get(None):
        admission, cohort = place
        place.clear()
        admission._leave(cohort)


class _Cohort:
    """The requests admitted in one interval."""

    __slots__ = ("is_new", "open")

    def __init__(self) -> None:
        self.is_new = True
        self.open = 0


class Admission:
    """ASGI middleware that admits requests, makes them wait, or refuses them with 503.

    A request that is cancelled while it waits leaves the queue. Websockets and the stylesheets of
    the 503 page are not counted. `admitted`, `queued` and `refused` are numbers of requests since
    the start: a request that was queued is admitted or refused later.
    """

    def __init__(self, app: Any, settings: AdmissionSettings, site: Site | None = None) -> None:
        self._app = app
        self._site = site or Site()
        self._always = _ALWAYS | set(self._site.page.stylesheets)
        self._settings = settings
        self.admitted = self.queued = self.refused = 0
        self._open = 0
        self._new = 0
        self._most_new = _START
        self._waiting: deque[tuple[asyncio.Future[_Cohort | None], float]] = deque()
        self._cohorts = deque([_Cohort()])
        self._cohort = self._cohorts[-1]
        self._timer: asyncio.TimerHandle | None = None
        self._context = Context()  # that of a request would keep the request
        self._due = self._judged_at = 0.0
        self._least_lag = math.inf

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in self._always:
            await self._app(scope, receive, send)
            return
        if self._timer is None:
            self._start()
        cohort = self._enter() if self._has_room() and not self._waiting else await self._turn()
        if cohort is None:
            self.refused += 1
            self._site.expect(EXPECTED)
            await self._refuse(scope, receive, send)
            return
        place = [self, cohort]
        _place.set(place)
        try:
            await self._app(scope, receive, send)
        finally:
            if place:
                place.clear()
                self._leave(cohort)

    @property
    def waiting(self) -> int:
        """The number of requests that wait for admission."""
        return len(self._waiting)

    def _has_room(self) -> bool:
        return self._new < self._most_new and self._open < self._settings.request_limit

    def _enter(self) -> _Cohort:
        self.admitted += 1
        self._open += 1
        self._new += 1
        self._cohort.open += 1
        return self._cohort

    def _leave(self, cohort: _Cohort) -> None:
        self._open -= 1
        cohort.open -= 1
        if cohort.is_new:
            self._new -= 1
        if self._waiting:
            self._admit()

    async def _turn(self) -> _Cohort | None:
        """Wait for admission; None if the queue is full or the wait times out."""
        if len(self._waiting) >= self._settings.request_queue:
            return None
        turn: asyncio.Future[_Cohort | None] = asyncio.get_running_loop().create_future()
        self.queued += 1
        waits = (turn, time.monotonic() + self._settings.request_queue_timeout)
        self._waiting.append(waits)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(waits)
            elif (cohort := turn.result()) is not None:  # admitted before the cancellation arrived
                self._leave(cohort)
            raise

    def _admit(self) -> None:
        """Admit the next waiting requests, and refuse those that have waited too long."""
        now = time.monotonic()
        while self._waiting:
            turn, until = self._waiting[0]
            if not turn.done():
                if self._has_room():
                    turn.set_result(self._enter())
                elif until <= now:
                    turn.set_result(None)
                else:
                    return
            self._waiting.popleft()

    def _start(self) -> None:
        self._judged_at = time.monotonic()
        self._least_lag = math.inf
        self._look_again(self._judged_at)

    def _look_again(self, now: float) -> None:
        self._due = now + TICK
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick, context=self._context)

    def _tick(self) -> None:
        if not (self._open or self._waiting):
            self._timer = None
            return
        now = time.monotonic()
        lag = now - self._due
        self._look_again(now)
        self._least_lag = min(self._least_lag, lag)
        if lag <= self._settings.request_max_lag and self._new + 1 > self._most_new:
            self._most_new = min(self._most_new * 1.05 + 1, self._settings.request_limit)
        if now - self._judged_at >= INTERVAL:
            self._judged_at = now
            self._judge()
        if self._waiting:
            self._admit()

    def _judge(self) -> None:
        if self._least_lag > self._settings.request_max_lag:
            self._most_new = max(_LEAST, min(self._most_new, self._new) * 0.8)
        self._least_lag = math.inf
        self._cohort = _Cohort()
        self._cohorts.append(self._cohort)
        if len(self._cohorts) > _COHORTS:
            old = self._cohorts.popleft()
            old.is_new = False
            self._new -= old.open

    async def _refuse(self, scope: Any, receive: Any, send: Any) -> None:
        site = self._site
        error = site.describe(503, headers=(("Retry-After", RETRY_AFTER),))
        is_api = site.is_api(path_of(scope))
        form = None if is_api else await _sent_again(scope, receive)
        more = "" if is_api else form or _TRY_AGAIN
        await refuse(scope, send, error, site, more, has_read=form is not None)


async def _sent_again(scope: Any, receive: Any) -> str | None:
    """The submitted form as HTML, to send again; None if there is none to show.

    It contains all fields except passwords. A form that came from another site is not repeated.
    """
    fields = await sent_form(scope, receive)
    if fields is None:
        return None
    inputs = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields
        if "password" not in name.lower()
    )
    return (
        "<p>What you typed is still here. You can send it again:</p>"
        f'<form method="post">{inputs}<button type="submit">Send again</button></form>'
    )
