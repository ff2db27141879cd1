"""The order in which tasks read in the thread of the event loop: first come, first served.

Such a read does not wait, so its task goes on in the same pass of the loop. With many pages under
way a pass would last as long as all of them, and a response that needs no database, which takes
several passes, would wait for each.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import Any

SLICE = 0.002
"""Seconds after which a task that reads queues again."""


class Turns:
    """Gives one waiting task its turn in each pass of the event loop.

    While none waits, all tasks that come within a SLICE read at once.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None  # in whose current pass a task reads
        self._holder: asyncio.Task[Any] | None = None
        self._until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Return when the current task may read."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if self._loop is not loop:
            if self._loop is not None and not self._loop.is_closed():
                return  # it runs in another thread, and this one does not delay it
            self._waiting.clear()  # those of a loop that has ended
            self._begin(loop)
        elif monotonic() > self._until or (self._waiting and self._holder is not task):
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn
            self._until = monotonic() + SLICE
        self._holder = task

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._until = monotonic() + SLICE
        loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        # In the next pass. A task that is woken here reads in the one after it, before this is
        # called again.
        self._loop = self._holder = None
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()  # cancelled
        if self._waiting:
            self._waiting.popleft().set_result(None)
            self._begin(loop)
