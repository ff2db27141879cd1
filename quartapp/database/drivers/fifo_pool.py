"""A pool with a first-come-first-served queue for each route.

SQLAlchemy's asyncio pool waits in an `asyncio.Queue`: a new request takes a free connection, even
if a waiting request was woken for it, which then waits again at the end of the queue. Under load
some requests wait until their timeout while newer ones are served (docs/decisions/0056).
"""

import logging
from typing import Any

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util.concurrency import await_

from quartapp.database.drivers.shares import Share, Shares, current_share


class FifoQueuePool(AsyncAdaptedQueuePool):
    """SQLAlchemy's asyncio pool behind `Shares`. It logs under the name of SQLAlchemy's pools.

    A request that has a turn always finds an idle connection, or room for a new one.
    """

    queue = 1024
    """The number of requests of one route that may wait."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shares = Shares(self.size() + self._max_overflow, self.queue)
        self._users: dict[ConnectionPoolEntry, Share] = {}
        self._is_disposed = False
        # SQLAlchemy names the logger after the class's module. Under the name of the application,
        # an error while a connection is closed would be reported as an error of a request.
        self.logger = logging.getLogger(f"{AsyncAdaptedQueuePool.__module__}.FifoQueuePool")

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a connection."""
        return self._shares.waiting

    @property
    def timeouts(self) -> int:
        """How many requests got no connection in time, since the pool was made."""
        return self._shares.timeouts

    @property
    def refused(self) -> int:
        """How many requests found too many waiting, since the pool was made."""
        return self._shares.refused

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

    def dispose(self) -> None:
        """Close the connections: those that are used when they are given back.

        The engine has another pool then, and what is given back to this one would be collected with
        it, open.
        """
        self._is_disposed = True
        super().dispose()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if self._is_disposed:
            record.close()
        super()._do_return_conn(record)
        self._shares.give_back(self._users.pop(record, None))
