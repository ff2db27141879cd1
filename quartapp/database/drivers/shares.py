"""The order in which requests get connections, and the share of the pool that a route may use.

Requests wait in one queue for each route, and the queues are served in turn. A route gets at most
four fifths of the pool, so a page with a slow query delays only itself, and others still find a
connection. All requests that may write count as one route, because on SQLite they hold a connection
while they wait for each other.
"""

import asyncio
from collections import Counter, defaultdict, deque

from quart import has_request_context, request
from sqlalchemy.exc import TimeoutError as DatabaseTimeoutError

from quartapp.database.errors import DatabaseQueueFullError
from quartapp.http_methods import SAFE_METHODS

RESERVED = 5
"""A route may not use one of every RESERVED connections of a pool."""

Share = str | None


def current_share() -> Share:
    """The share of the current request: its endpoint, "" if it may write, None outside requests."""
    if not has_request_context():
        return None
    return request.endpoint if request.method in SAFE_METHODS else ""


def largest_share(size: int) -> int:
    """The number of a pool's connections that one route may use at a time."""
    return size - size // RESERVED


class Shares:
    """Turns for `size` connections, in one event loop; `queue` requests of a route may wait.

    A turn that was given to a cancelled request goes to the next one.
    """

    def __init__(self, size: int, queue: int) -> None:
        self._free = size
        self._most = largest_share(size)
        self._queue = queue
        self.timeouts = self.refused = 0
        self._held: Counter[Share] = Counter()
        self._waiting: defaultdict[Share, deque[asyncio.Future[None]]] = defaultdict(deque)

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def take(self, share: Share) -> bool:
        """Take a turn if one is free for this share."""
        # If this succeeds, no request of the share is waiting: it would have been given the turn.
        if not self._free or self._held[share] >= self._most:
            return False
        self._free -= 1
        self._held[share] += 1
        return True

    async def wait(self, share: Share, timeout: float) -> None:
        """Wait for a turn of this share.

        Raises SQLAlchemy's TimeoutError after `timeout` seconds, and DatabaseQueueFullError at once
        if too many already wait.
        """
        queue = self._waiting[share]
        if len(queue) >= self._queue:
            self.refused += 1
            raise DatabaseQueueFullError(f"{self._queue} requests wait for a connection already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await asyncio.wait([turn], timeout=timeout)  # it leaves the future as it is
        except asyncio.CancelledError:
            if turn.done():
                self.give_back(share)
            raise
        finally:
            if not turn.done():
                queue.remove(turn)
        if not turn.done():
            self.timeouts += 1
            raise DatabaseTimeoutError(f"no connection became free in {timeout:g} seconds")

    def give_back(self, share: Share) -> None:
        """End a turn, and give it to the next share in turn that may have it."""
        self._free += 1
        self._held[share] -= 1
        for waiting, queue in self._waiting.items():
            if queue and self.take(waiting):
                queue.popleft().set_result(None)
                self._waiting[waiting] = self._waiting.pop(waiting)  # now last in turn
                return
