"""A pool that gives a free connection to the request that has waited longest.

SQLAlchemy's asyncio pool waits in an `asyncio.Queue`. A request that asks while a connection is
free takes it, even if others were woken for it; these then wait again, behind everybody. Under load
some requests wait until their timeout while newcomers are served (docs/decisions/0056).
"""

import asyncio
import logging
from collections import deque
from typing import Any, TypeVar

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util.concurrency import await_
from sqlalchemy.util.queue import Empty, Full, QueueCommon

T = TypeVar("T")


class FifoQueue(QueueCommon[T]):
    """A queue that gives each item to the first waiter, ahead of any newcomer.

    For one event loop. An item that was given to a cancelled waiter goes to the next one.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        self.maxsize = maxsize
        self.use_lifo = use_lifo
        self._items: deque[T] = deque()
        self._waiting: deque[asyncio.Future[T]] = deque()

    def empty(self) -> bool:
        return not self._items

    def full(self) -> bool:
        return 0 < self.maxsize <= len(self._items)

    def qsize(self) -> int:
        return len(self._items)

    def put_nowait(self, item: T) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(item)
                return
        if self.full():
            raise Full
        self._items.append(item)

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Never waits, because a pool takes back only what it gave out."""
        self.put_nowait(item)

    def get_nowait(self) -> T:
        if not self._items:
            raise Empty
        return self._items.pop() if self.use_lifo else self._items.popleft()

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        if self._items or not block:
            return self.get_nowait()
        return await_(self._wait(timeout))

    async def _wait(self, timeout: float | None) -> T:
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        except TimeoutError:
            if not waiter.cancelled():
                return waiter.result()  # it arrived together with the timeout
            raise Empty from None
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.put_nowait(waiter.result())
            raise
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)


class FifoQueuePool(AsyncAdaptedQueuePool):
    """SQLAlchemy's asyncio pool with a `FifoQueue`. It logs where SQLAlchemy's own pools do."""

    _queue_class: type[QueueCommon[ConnectionPoolEntry]] = FifoQueue

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # SQLAlchemy names the logger after the module of the class, which would be the
        # application's: what goes wrong while a connection is closed is no error of a request.
        self.logger = logging.getLogger(f"{AsyncAdaptedQueuePool.__module__}.FifoQueuePool")
