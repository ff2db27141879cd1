"""A pool with a first-come-first-served queue for each route.

SQLAlchemy's asyncio pool waits in an `asyncio.Queue`: a new request takes a free connection, even
if a waiting request was woken for it, which then waits again at the end of the queue. Under load
some requests wait until their timeout while newer ones are served (docs/decisions/0056).
"""

import logging
from collections import deque
from typing import Any, TypeVar

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util.concurrency import await_
from sqlalchemy.util.queue import Empty, Full, QueueCommon

from quartapp.database.drivers.shares import Share, Shares, current_share

T = TypeVar("T")


class IdleQueue(QueueCommon[T]):
    """The idle connections. It never blocks: requests wait in `Shares`."""

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        self.maxsize = maxsize
        self.use_lifo = use_lifo
        self._items: deque[T] = deque()

    def empty(self) -> bool:
        return not self._items

    def full(self) -> bool:
        return 0 < self.maxsize <= len(self._items)

    def qsize(self) -> int:
        return len(self._items)

    def put_nowait(self, item: T) -> None:
        if self.full():
            raise Full
        self._items.append(item)

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        self.put_nowait(item)

    def get_nowait(self) -> T:
        if not self._items:
            raise Empty
        return self._items.pop() if self.use_lifo else self._items.popleft()

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        return self.get_nowait()


class FifoQueuePool(AsyncAdaptedQueuePool):
    """SQLAlchemy's asyncio pool behind `Shares`. It logs under the name of SQLAlchemy's pools.

    A request that has a turn always finds an idle connection, or room for a new one.
    """

    queue = 1024
    """The number of requests of one route that may wait."""

    _queue_class: type[QueueCommon[ConnectionPoolEntry]] = IdleQueue

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shares = Shares(self.size() + self._max_overflow, self.queue)
        self._users: dict[ConnectionPoolEntry, Share] = {}
        # SQLAlchemy names the logger after the class's module. Under the name of the application,
        # an error while a connection is closed would be reported as an error of a request.
        self.logger = logging.getLogger(f"{AsyncAdaptedQueuePool.__module__}.FifoQueuePool")

    def _do_get(self) -> ConnectionPoolEntry:
        share = current_share()
        if not self._shares.take(share):
            await_(self._shares.wait(share, self._timeout))
        try:
            record = super()._do_get()
        except BaseException:
            self._shares.give_back(share)
            raise
        self._users[record] = share
        return record

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        self._shares.give_back(self._users.pop(record, None))
