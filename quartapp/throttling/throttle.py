"""Limits in windows of time, and waits that double for whoever guesses.

A window begins with the first request that is counted in it. Counting comes before the work, so
that requests at the same time cannot pass a limit together.
"""

import time
from collections.abc import Callable
from math import ceil
from typing import NamedTuple, cast

from quart import Quart, current_app
from werkzeug.exceptions import TooManyRequests

from quartapp.extras import needs
from quartapp.settings import ConfigurationError
from quartapp.throttling.counters import Counters
from quartapp.throttling.settings import Limit, ThrottlingSettings

LONGEST_WAIT = 15 * 60
"""Seconds, for the waits between tries."""

MEMORY = 24 * 3600
"""Seconds after which waits begin at one second again."""


LONGEST_CHECK = 15
"""Seconds after which a check that did not end (its client has left) keeps nobody waiting."""

_TOO_OFTEN = "That was too often."


class ThrottledError(TooManyRequests):
    """A limit is reached: 429 with Retry-After. `is_first` is true for the first request beyond."""

    retry_after: int

    def __init__(self, reason: str, seconds: float, *, is_first: bool = False) -> None:
        wait = max(1, ceil(seconds))
        super().__init__(f"{reason} Please try again in {in_words(wait)}.", retry_after=wait)
        self.is_first = is_first


class Throttle:
    """The limits of an application. Without `is_on` nothing is counted and nothing refused.

    The parts of a `key` say who is counted: an address, the id of a person. They must be short, and
    must hold nothing secret, as they are stored in Redis.
    """

    def __init__(self, counters: Counters, *, is_on: bool = True) -> None:
        self.counters = counters
        self.is_on = is_on
        self.refused = 0
        """How often a ThrottledError was raised since the start."""

    async def is_degraded(self) -> bool:
        """Whether each process counts for itself because Redis is away; asks it, if it is time."""
        await self.counters.get("is it there")
        return self.counters.is_away

    async def hit(self, limit: Limit, *key: str, reason: str = _TOO_OFTEN) -> None:
        """Count something that is about to be done. Raises ThrottledError beyond the limit."""
        if not self.is_on:
            return
        name = limit.key_for(*key)
        count = await self.counters.incr(name, limit.seconds)
        if count > limit.amount:
            seconds = await self.counters.seconds_left(name)
            raise self._refusal(reason, seconds, is_first=count == limit.amount + 1)

    async def take_back(self, limit: Limit, *key: str) -> None:
        """Do not count what `hit` counted."""
        name = limit.key_for(*key)
        if self.is_on and await self.counters.get(name):
            await self.counters.incr(name, limit.seconds, -1)

    async def begin_try(self, limit: Limit, *key: str, reason: str = _TOO_OFTEN) -> int:
        """Begin to check a secret that may be guessed, such as a password.

        The tries up to the limit are free. After the last of them there are waits, of one second,
        and twice as long after each further try, up to LONGEST_WAIT; and only one try is checked at
        a time. Otherwise it raises ThrottledError, also for the right secret, or guesses would go
        on. Returns the seconds to wait after this try if it is wrong, for `fail_try`; 0 if none.
        """
        if not self.is_on:
            return 0
        names = _Names.of(limit, key)
        count = await self.counters.incr(names.tries, limit.seconds)
        before = await self.counters.get(names.waits)
        if count < limit.amount and not before:
            return 0
        wait = min(1 << before, LONGEST_WAIT)
        if await self.counters.incr(names.checking, LONGEST_CHECK) > 1:
            raise self._refusal(reason, wait)
        # Not before: another try may just have failed.
        if await self.counters.get(names.waiting):
            await self.counters.clear(names.checking)
            raise self._refusal(reason, await self.counters.seconds_left(names.waiting))
        return wait

    async def fail_try(self, limit: Limit, *key: str, wait: int) -> None:
        """Begin the wait after a try: the secret was wrong."""
        if wait:
            names = _Names.of(limit, key)
            await self.counters.incr(names.waiting, wait)
            await self.counters.incr(names.waits, MEMORY)
            await self.counters.clear(names.checking)

    async def end_tries(self, limit: Limit, *key: str) -> None:
        """Forget the tries: the secret was right."""
        if self.is_on:
            for name in _Names.of(limit, key):
                await self.counters.clear(name)

    def _refusal(self, reason: str, seconds: float, *, is_first: bool = False) -> ThrottledError:
        self.refused += 1
        return ThrottledError(reason, seconds, is_first=is_first)

    async def is_new(self, seconds: int, *key: str) -> bool:
        """Whether this key was not asked for within that many seconds; also without `is_on`."""
        return await self.counters.incr("/".join(("seen", *key)), seconds) == 1


def init_app(app: Quart, clock: Callable[[], float] = time.time) -> Throttle:
    """Give an application its throttle. Reads `app.config` (see `ThrottlingSettings`).

    `clock` is that of the counters in memory. Raises ConfigurationError.
    """
    settings = ThrottlingSettings.from_config(app.config)
    counters = _on_redis(settings.redis_url, clock) if settings.redis_url else Counters(None, clock)
    throttle = app.extensions["throttling"] = Throttle(counters, is_on=settings.throttling)
    app.after_serving(throttle.counters.close)
    return throttle


def _on_redis(url: str, clock: Callable[[], float]) -> Counters:
    try:
        from quartapp.throttling.redis_counters import RedisCounters
    except ImportError:
        raise ConfigurationError(f"REDIS_URL: {needs('redis')}") from None
    return Counters(RedisCounters(url), clock)


def current_throttle() -> Throttle:
    """The throttle of the current application."""
    return cast(Throttle, current_app.extensions["throttling"])


def in_words(seconds: int) -> str:
    """A number of seconds for people: "45 seconds", "2 minutes"."""
    number, unit = (seconds, "second") if seconds < 120 else (ceil(seconds / 60), "minute")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


class _Names(NamedTuple):
    """The counters of tries, of the waits that there were, of the present wait, and of a check."""

    tries: str
    waits: str
    waiting: str
    checking: str

    @classmethod
    def of(cls, limit: Limit, key: tuple[str, ...]) -> "_Names":
        name = limit.key_for(*key)
        return cls(name, f"{name}/waits", f"{name}/waiting", f"{name}/checking")
