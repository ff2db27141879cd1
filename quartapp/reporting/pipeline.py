"""The parts of reporting, put together for one application, and their life.

`open` makes errors being recorded from now on, before anything serves; `start` adds the task that
counts and mails, `stop` ends it. Nothing is lost without `stop`: it only brings forward what the
next start would do.
"""

import asyncio
import contextlib
import logging
import random
import time

from quart import Quart

from quartapp.database import Database
from quartapp.reporting.doors import Doors
from quartapp.reporting.drainer import Drainer
from quartapp.reporting.journal import Journal
from quartapp.reporting.recorder import Recorder

EVERY = 1.0
"""Seconds between two looks at the journal."""

_ROUND_SECONDS = 60.0
_FLUSH_SECONDS = 5.0
_SYNC_EVERY = 0.1

_logger = logging.getLogger(__name__)


class Pipeline:
    """Reporting, for one application; `app.extensions["reporting"]`."""

    def __init__(
        self,
        app: Quart,
        *,
        database: Database,
        journal: Journal,
        recorder: Recorder,
        doors: Doors,
        drainer: Drainer,
        fsync: bool = False,
    ) -> None:
        self.app = app
        self.database = database
        self.journal = journal
        self.recorder = recorder
        self.doors = doors
        self.drainer = drainer
        self._fsync = fsync
        self._tasks: list[asyncio.Task[None]] = []
        self.away_since: float | None = None

    async def start(self) -> None:
        """Serve: open the doors of the process, allocate the journal, and begin to drain."""
        self.doors.open_process()
        await asyncio.to_thread(self.journal.prepare)
        self._tasks = [asyncio.create_task(self._run(), name="reporting")]
        if self._fsync:
            self._tasks.append(asyncio.create_task(self._sync(), name="reporting-sync"))

    async def stop(self) -> None:
        """Stop serving: count once more what there is, for five seconds at the most."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._round()
        self.doors.close_process()

    async def flush(self) -> int:
        """Count at once all that is recorded; for tests and commands. Raises the database's errors.

        Returns the number of occurrences.
        """
        self.recorder.settle()
        return await self.drainer.drain()

    async def _run(self) -> None:
        while True:
            await self._round()
            # Not in step with the other workers and machines.
            await asyncio.sleep(EVERY * random.uniform(0.8, 1.2))

    async def _round(self) -> None:
        try:
            async with asyncio.timeout(_ROUND_SECONDS):
                await self.flush()
                await self.drainer.wake()
        except Exception as error:  # noqa: BLE001 - the journal holds; the next round tries again
            self._note_failure(error)
        else:
            self._note_success()

    def _note_failure(self, error: Exception) -> None:
        if self.away_since is None:
            self.away_since = time.monotonic()
            _logger.error("Errors cannot be counted, the journal holds them: %s", _brief(error))

    def _note_success(self) -> None:
        if self.away_since is not None:
            _logger.warning("Errors are counted again")
            self.away_since = None

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(_SYNC_EVERY)
            try:
                await asyncio.to_thread(self.journal.sync)
            except OSError as error:
                _logger.error("The journal cannot be synced: %s", error)


def _brief(error: Exception) -> str:
    """An error's type and first line: what follows in a driver's text repeats data."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
