"""Counters that expire: in the memory of this process, in Redis, or in the one that works."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:  # only imported with REDIS_URL
    from quartapp.throttling.redis_counters import RedisCounters

T = TypeVar("T")

MOST_COUNTERS = 100_000
"""Counters of a process, 20 MB; beyond it the oldest are forgotten, so memory is bounded."""

PATIENCE = 0.5
"""Seconds that Redis may take to answer."""

RETRY = 5.0
"""Seconds for which Redis is not asked after it has failed."""

_logger = logging.getLogger(__name__)


class Storage(Protocol):
    """Where counters are; the names are those of the library `limits`."""

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter, which expires that many seconds after it was first added to."""

    async def get(self, key: str) -> int:
        """The value of a counter; 0 if it has expired."""

    async def get_expiry(self, key: str) -> float:
        """When a counter expires."""

    async def clear(self, key: str) -> None:
        """Forget a counter."""


class MemoryCounters:
    """Counters in a dictionary.

    Unlike those of the library `limits`, which looks at all counters after each hit and keeps any
    number of them: here a hit costs the same whatever the number, and there are at most
    MOST_COUNTERS.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._counters: dict[str, tuple[int, float]] = {}
        self._sweep_at = 1000

    @property
    def size(self) -> int:
        """How many counters there are."""
        return len(self._counters)

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = self.clock()
        count, until = self._counters.get(key, (0, 0.0))
        if until <= now:
            count, until = 0, now + expiry
            if len(self._counters) >= self._sweep_at:
                self._sweep(now)
        self._counters[key] = count + amount, until
        return count + amount

    async def get(self, key: str) -> int:
        count, until = self._counters.get(key, (0, 0.0))
        return count if until > self.clock() else 0

    async def get_expiry(self, key: str) -> float:
        return max(self._counters.get(key, (0, 0.0))[1], self.clock())

    async def clear(self, key: str) -> None:
        self._counters.pop(key, None)

    def _sweep(self, now: float) -> None:
        """Forget what has expired, and the oldest of what is too much.

        It is done when there are twice as many as the last time left, so a hit costs the same on
        average whatever the number.
        """
        kept = {key: value for key, value in self._counters.items() if value[1] > now}
        surplus = len(kept) - MOST_COUNTERS // 2
        if surplus > 0 and len(kept) >= MOST_COUNTERS:
            kept = dict(islice(kept.items(), surplus, None))
        self._counters = kept
        self._sweep_at = min(max(1000, 2 * len(kept)), MOST_COUNTERS)


class Counters:
    """The counters in Redis, and in memory without it or while it is away: it fails open.

    It is away if it raises or takes longer than PATIENCE. It is tried again after RETRY seconds;
    that it failed and that it works again are logged once each. Without Redis nothing is raised.
    """

    def __init__(
        self, shared: "RedisCounters | None" = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._shared = shared
        self.memory = MemoryCounters(clock)
        self._try_at = 0.0
        self.is_away = False

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter, which expires that many seconds after it was first added to."""
        return await self._ask(lambda storage: storage.incr(key, expiry, amount))

    async def get(self, key: str) -> int:
        """The value of a counter; 0 if it has expired."""
        return await self._ask(lambda storage: storage.get(key))

    async def seconds_left(self, key: str) -> float:
        """Until a counter expires."""

        async def ask(storage: Storage) -> float:
            clock = time.time if storage is self._shared else self.memory.clock
            return await storage.get_expiry(key) - clock()

        return await self._ask(ask)

    async def clear(self, key: str) -> None:
        """Forget a counter."""
        await self._ask(lambda storage: storage.clear(key))

    async def close(self) -> None:
        """Close the connections."""
        if self._shared is not None:
            await self._shared.close()

    async def _ask(self, work: Callable[[Storage], Awaitable[T]]) -> T:
        shared = self._shared
        if shared is None or time.monotonic() < self._try_at:
            return await work(self.memory)
        if self.is_away:
            self._try_at = time.monotonic() + RETRY  # one request tries; others do not wait for it
        try:
            async with asyncio.timeout(PATIENCE):
                result = await work(shared)
        except _errors_of(shared) as error:
            self._try_at = time.monotonic() + RETRY
            if not self.is_away:
                _logger.error(
                    "Redis does not answer, so each process counts for itself: %s",
                    type(error).__name__,
                )
            self.is_away = True
            return await work(self.memory)
        if self.is_away:
            _logger.warning("Redis answers again, and counts for all processes.")
        self.is_away, self._try_at = False, 0.0
        return result


def _errors_of(storage: "RedisCounters") -> tuple[type[Exception], ...]:
    errors = storage.base_exceptions
    return OSError, *(errors if isinstance(errors, tuple) else (errors,))
