"""What changes in the database of errors, for all open pages of this process.

One task asks the database, and only while a page is open. It asks what was counted since, so that
errors of all processes and machines are found alike. The last events are kept once for all pages,
and each page has only a place among them: one that falls behind costs nothing, and learns that it
has to load again.

The position of an event is the `changed_at` of its group. Processes may commit in another order
than that of their clocks, so each round asks for the last OVERLAP seconds again, and leaves out
what it has sent. A page may get an event twice, and misses none.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from quart import Quart

from quartapp.inbox.text import one_line
from quartapp.reporting.exceptions import sentence
from quartapp.reporting.pipeline import Pipeline, end
from quartapp.reporting.queries.listing import state_of
from quartapp.reporting.queries.overview import Changed, changed_since, last_change

POLL = 0.4
"""Seconds between two rounds. An error is counted up to 1.2 s after it, and shown within 2 s."""

OVERLAP = 10.0
"""Seconds that a transaction of counting may take."""

KEPT = 200
"""The events that are kept."""

MOST_PAGES = 20
"""The open pages of a process; further ones show what they have until somebody loads them again."""

OVERVIEW_EVERY = 5.0
"""Seconds between two looks at what the overview shows besides groups."""

_AT_ONCE = 50
"""The groups of a round; of more, a page learns only that it has to load again."""

_READ = 500
_TITLE = 120
_PAUSE = 2.0

Look = Callable[[Pipeline], Awaitable[dict[str, str]]]
"""What the overview shows besides groups: texts by their names."""

GROUP = "group"
OVERVIEW = "overview"
RESYNC = "resync"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """A change. `data` is JSON; whoever has seen it continues after `position`."""

    kind: str
    data: str
    position: float


class Feed:
    """The events of one application. Its task runs while a page is open."""

    def __init__(self, app: Quart) -> None:
        self._app = app
        self._events: deque[Event] = deque(maxlen=KEPT)
        self.number = 0
        """The number of events so far, with those that are not kept any more."""
        self.pages = 0
        self._looks: list[Look] = []
        self._position: float | None = None
        self._sent: dict[int, tuple[float, int, int]] = {}
        self._texts: dict[str, str] = {}
        self._looked_at = float("-inf")
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_away = False

    @property
    def is_over(self) -> bool:
        """Whether streams have to end because the server stops."""
        return bool(getattr(self._app, "is_stopping", False))

    @property
    def is_full(self) -> bool:
        return self.pages >= MOST_PAGES

    def join(self, look: Look | None = None) -> None:
        """Begin to listen, for what `look` returns too; end it with `leave`."""
        self.pages += 1
        if look is not None:
            self._looks.append(look)
            self._looked_at, self._texts = float("-inf"), {}  # its page may be older
        if self._task is None:
            # Not in the context of the request that happens to be the first.
            self._task = asyncio.create_task(self._run(), name="inbox feed", context=Context())

    def leave(self, look: Look | None = None) -> None:
        """End listening. After the last page the task ends by itself."""
        self.pages -= 1
        if look is not None:
            self._looks.remove(look)

    async def stop(self) -> None:
        """End the task, as after serving."""
        if self._task is not None:
            await end(self._task)

    def after(self, number: int) -> Sequence[Event]:
        """The events from a number on; one RESYNC if some of them are not kept any more."""
        missing = self.number - number
        if missing > len(self._events):
            return [Event(RESYNC, "{}", self._position or 0.0)]
        return [self._events[place - missing] for place in range(missing)]

    async def wait(self, seconds: float) -> None:
        """Wait for an event, or the stop of the server."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def missed(self, since: float) -> Sequence[Event]:
        """What has changed since a position. Raises the database's errors."""
        database = self._pipeline.database
        found = await changed_since(database, since - OVERLAP, _AT_ONCE + 1)
        if len(found) > _AT_ONCE:
            return [Event(RESYNC, "{}", await last_change(database))]
        return [_event(group) for group in found]

    @property
    def _pipeline(self) -> Pipeline:
        pipeline: Pipeline = self._app.extensions["reporting"]
        return pipeline

    def _add(self, events: Sequence[Event]) -> None:
        self._events.extend(events)
        self.number += len(events)
        self._news.set()
        self._news = asyncio.Event()

    async def _run(self) -> None:
        try:
            await self._ask_while_open()
        finally:
            self._task, self._position = None, None
            self._sent.clear()
            self._add([])  # so that pages that are still open see that the server stops

    async def _ask_while_open(self) -> None:
        while self.pages and not self.is_over:
            try:
                await self._ask()
                await self._look()
            except Exception as error:  # noqa: BLE001 - the next round asks again
                if not self._is_away:
                    _logger.warning("Open pages of the inbox get no news: %s", sentence(error))
                self._is_away = True
                await asyncio.sleep(_PAUSE)
            else:
                self._is_away = False
            await asyncio.sleep(POLL)

    async def _ask(self) -> None:
        """Add what was counted since the last round."""
        await self._pipeline.prepare()
        database = self._pipeline.database
        if self._position is None:
            self._position = await last_change(database)
        found = await changed_since(database, self._position - OVERLAP, _READ)
        fresh = [group for group in found if self._sent.get(group.id) != _version(group)]
        if len(found) == _READ:
            self._position = await last_change(database)
        elif found:
            self._position = max(self._position, found[-1].changed_at)
        self._sent = {group.id: _version(group) for group in found}
        if len(fresh) > _AT_ONCE or len(found) == _READ:
            self._add([Event(RESYNC, "{}", self._position)])
        elif fresh:
            self._add([_event(group) for group in fresh])

    async def _look(self) -> None:
        """Add what the overview shows, if it has changed."""
        now = time.monotonic()
        if not self._looks or now - self._looked_at < OVERVIEW_EVERY:
            return
        self._looked_at = now
        texts = await self._looks[0](self._pipeline)
        if texts != self._texts:
            self._texts = texts
            self._add([Event(OVERVIEW, json.dumps(texts), self._position or 0.0)])


def _version(group: Changed) -> tuple[float, int, int]:
    return group.changed_at, group.count, group.revision


def _event(group: Changed) -> Event:
    data: dict[str, Any] = {
        "id": group.id,
        "title": one_line(group.title, _TITLE),
        "count": f"{group.count:,}",
        "state": state_of(group, time.time()),
        "last_seen": group.last_seen.isoformat(timespec="seconds"),
    }
    return Event(GROUP, json.dumps(data, ensure_ascii=False), group.changed_at)
