"""The metrics of one application in this process: `app.extensions["metrics"]`."""

import asyncio
import contextlib
import logging
import os
import re
import threading
import weakref
from functools import partial
from hmac import compare_digest
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

from quart import Quart

from quartapp.installation import MEASURING, wrap_outermost
from quartapp.metrics import catalogue, exposition, machine, slots
from quartapp.metrics.machine import Outboxes
from quartapp.metrics.middleware import MetricsMiddleware
from quartapp.metrics.slots import Found, Slot
from quartapp.metrics.sources import Sources, Value
from quartapp.metrics.store import Metric, Store, read_rows

EVERY = 0.5
"""Seconds between two beats: the age of the numbers of other workers, at most."""

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +(\S+)")
_READS = frozenset({"GET", "HEAD"})

_PARTS = {
    "worker": "a part of this worker cannot be read",
    "sharing": "other workers cannot see the numbers of this one",
    "others": "the numbers of the other workers cannot be read",
    "machine": "what the workers share cannot be read",
}

_logger = logging.getLogger(__name__)


class WorkerMetrics:
    """Counts what this process does, shares it with the other workers, and answers scrapes.

    It owns the task that `start` makes; `stop` ends it.
    """

    def __init__(self, app: Quart, token: str, path: str, outboxes: Outboxes) -> None:
        self.store = Store()
        self.metrics: list[Metric] = list(catalogue.ALL)
        self.sources = Sources(app, self.store)
        self._app = app
        self._token = token.encode()
        self._path = path
        self._outboxes = outboxes
        self._slot: Slot | None = None
        self._task: asyncio.Task[None] | None = None
        self._troubles: dict[str, str] = {}
        self._scraping = asyncio.Lock()
        self._writing = threading.Lock()
        _all.add(self)

    @property
    def folder(self) -> Path:
        """Where the workers find each other; one for each application."""
        return Path(self._app.instance_path) / "metrics" / quote(self._app.name, safe="")

    def wrap(self) -> None:
        """Put the middleware around what others answer."""
        make = partial(
            MetricsMiddleware, store=self.store, scrapes=self._scrapes, answer=self._answer
        )
        wrap_outermost(self._app, make, MEASURING)

    async def start(self) -> None:
        """Take a slot among the workers, and begin to beat."""
        self.wrap()
        if not self._token:
            _logger.warning("Nobody may read the metrics: METRICS_TOKEN is not set")
        await asyncio.to_thread(self._take_slot)
        self.store.add(catalogue.STARTS, 1)
        self.store.place(catalogue.LAG_OF_LOOP)
        self.store.set(catalogue.PID, os.getpid())
        self._read_parts()
        await self._share()
        self._task = asyncio.create_task(self._beat(), name="metrics")

    async def stop(self) -> None:
        """End the task. The numbers stay for the other workers."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._read_parts()
        await self._share()
        self._leave()

    async def _beat(self) -> None:
        while True:
            due = monotonic() + EVERY
            await asyncio.sleep(EVERY)
            self.store.observe(catalogue.LAG_OF_LOOP, max(0.0, monotonic() - due))
            self._read_parts()
            await self._share()

    def _read_parts(self) -> None:
        self._note("worker", self.sources.read())

    async def _share(self) -> tuple[bytes, bytes]:
        """Write the numbers for the other workers, and return them. A failure is logged, not
        raised."""
        self.store.set(catalogue.BEAT, monotonic())
        return await asyncio.to_thread(self._write)

    def _write(self) -> tuple[bytes, bytes]:
        with self._writing:  # older numbers never replace newer ones
            content = self.store.content()
            try:
                if self._slot is None or self._slot.is_removed:
                    self._take_slot()
                else:
                    self._slot.write(*content)
            except OSError as error:
                self._note("sharing", str(error))
            else:
                if self._slot is not None:
                    self._note("sharing", "")
            return content

    def _take_slot(self) -> None:
        self._leave()
        try:
            self._slot = slots.take(self.folder, self.store)
        except OSError as error:
            self._note("sharing", str(error))

    def _leave(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.close()

    def _faults(self) -> list[tuple[str, str]]:
        return [(part, fault) for part, fault in self._troubles.items() if part != "machine"]

    def _note(self, part: str, fault: str) -> None:
        """Log once that something fails, and once that it does not any more."""
        before = self._troubles.get(part, "")
        self._troubles[part] = fault
        if fault and not before:
            # The parts of the machine fail when the database is away. Reporting says that itself.
            level = logging.WARNING if part == "machine" else logging.ERROR
            _logger.log(level, "Metrics are incomplete: %s: %s", _PARTS[part], fault)
        elif before and not fault:
            _logger.warning("Metrics are complete again: %s", _PARTS[part])

    def _scrapes(self, scope: Any) -> bool:
        """Whether a request is a scrape that is allowed. All others are the application's."""
        if scope["path"] != self._path or not self._token:
            return False
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
        return found is not None and compare_digest(found[1], self._token)

    async def _answer(self, scope: Any, send: Any) -> None:
        status, fields, body = (
            200,
            [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")],
            b"",
        )
        if scope["method"] not in _READS:
            status = 405
            fields.append((b"allow", b"GET, HEAD"))
        else:
            headers = dict(scope["headers"])
            accept = headers.get(b"accept", b"").decode("latin1")
            compress = b"gzip" in headers.get(b"accept-encoding", b"")
            body, kind = await self.page(accept, compress=compress)
            fields.append((b"content-type", kind.encode("latin1")))
            fields.append((b"vary", b"Accept, Accept-Encoding"))
            if compress:
                fields.append((b"content-encoding", b"gzip"))
        fields.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        body = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def page(self, accept: str = "", *, compress: bool = False) -> tuple[bytes, str]:
        """The metrics of all workers now, and the content type of their format."""
        async with self._scraping:  # what is read takes a connection of the pool
            self._read_parts()
            values, failed = await machine.read(self._app, self._outboxes)
            self._note("machine", failed)
            # What is shown is written first: otherwise a counter would fall in the next answer, of
            # another worker or after kill -9, and Prometheus would take that for a restart.
            own = await self._share()
            return await asyncio.to_thread(self._render, own, values, accept, compress)

    def _render(
        self, own: tuple[bytes, bytes], values: list[Value], accept: str, compress: bool
    ) -> tuple[bytes, str]:
        slot = self._slot
        number = 0 if slot is None else slot.number
        try:
            others = [] if slot is None else slots.read_all(self.folder)
        except OSError as error:
            self._note("others", str(error))
            others = []
        else:
            self._note("others", "")
        rows = list(read_rows(*own))  # newer than those in the file
        workers = [Found(number, True, rows), *(one for one in others if one.number != number)]
        if slot is not None:  # otherwise nobody knows how many there are
            living = sum(one.is_alive for one in workers)
            values = [*values, Value(catalogue.WORKERS, living)]
        values = [
            *values,
            *(Value(catalogue.FAILING, bool(fault), (part,)) for part, fault in self._faults()),
        ]
        return exposition.render(self.metrics, workers, values, accept, compress=compress)


_all: weakref.WeakSet[WorkerMetrics] = weakref.WeakSet()


def _after_fork() -> None:
    """A forked process counts for itself: the numbers so far are those of its parent."""
    for one in list(_all):
        one._leave()
        one._writing = threading.Lock()  # a thread of the parent may have had it
        one.store.renew()


os.register_at_fork(after_in_child=_after_fork)
