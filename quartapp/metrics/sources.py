"""What the parts of an application know of this worker: numbers in memory, read at each beat.

A part that an application does not use is not imported. What a part counts begins at zero with its
object, so only what was added since the last reading is added to the numbers of the worker.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from quart import Quart

from quartapp.metrics import catalogue as all_of
from quartapp.metrics.store import Metric, Store


class Value(NamedTuple):
    """What a part says: for a counter its value since the part's object was made."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


class Sources:
    """Reads all parts of an application into a store."""

    def __init__(self, app: Quart, store: Store) -> None:
        self.gauges: list[tuple[Metric, Callable[[], float]]] = []
        """The gauges of the application itself."""
        self._app = app
        self._store = store
        self._before: dict[tuple[str, tuple[str, ...]], float] = {}

    def read(self) -> str:
        """Read what all parts say now. Returns which ones failed, and never raises."""
        failed: list[str] = []
        for part in (_admission, _deadlines, _reporting, _database, _log, _throttle):
            try:
                for value in part(self._app):
                    self._take(*value)
            except Exception as error:  # noqa: BLE001 - the other parts are shown nevertheless
                failed.append(f"{part.__name__[1:]} ({type(error).__name__}: {error})")
        for metric, function in self.gauges:
            try:
                self._take(metric, float(function()))
            except Exception as error:  # noqa: BLE001 - as above
                failed.append(f"{metric.name} ({type(error).__name__}: {error})")
        return ", ".join(failed)

    def _take(self, metric: Metric, value: float, labels: tuple[str, ...] = ()) -> None:
        if metric.kind == "gauge":
            self._store.set(metric, value, *labels)
            return
        key = (metric.name, labels)
        before = self._before.get(key, 0.0)
        self._before[key] = value
        # The first time also without an addition: a rate needs the zero before it.
        self._store.add(metric, value - before if value >= before else value, *labels)


def _admission(app: Quart) -> Iterator[Value]:
    admission = getattr(app.extensions.get("errors"), "admission", None)
    if admission is not None:
        yield Value(all_of.ADMITTED, admission.admitted)
        yield Value(all_of.QUEUED, admission.queued)
        yield Value(all_of.REFUSED, admission.refused)
        yield Value(all_of.WAITING, admission.waiting)


def _deadlines(app: Quart) -> Iterator[Value]:
    deadlines = getattr(app.extensions.get("errors"), "deadlines", None)
    if deadlines is not None:
        yield Value(all_of.TIMEOUTS, deadlines.stopped)


def _reporting(app: Quart) -> Iterator[Value]:
    pipeline = app.extensions.get("reporting")
    if pipeline is not None:
        for kind, number in list(pipeline.recorder.kinds.items()):
            yield Value(all_of.ERRORS, number, (kind,))
        yield Value(all_of.LOST, pipeline.recorder.lost_reports)
        yield Value(all_of.TROUBLE, bool(pipeline.trouble))


def _database(app: Quart) -> Iterator[Value]:
    database = app.extensions.get("database")
    pool: Any = None if database is None else database.engine.pool
    if hasattr(pool, "checkedout"):  # not that of an SQLite database in memory
        yield Value(all_of.POOL_SIZE, pool.size())
        yield Value(all_of.POOL_IN_USE, pool.checkedout())
    if hasattr(pool, "timeouts"):
        yield Value(all_of.POOL_WAITING, pool.waiting)
        yield Value(all_of.POOL_TIMEOUTS, pool.timeouts)
        yield Value(all_of.POOL_REFUSED, pool.refused)


def _log(app: Quart) -> Iterator[Value]:
    if "logfile" in app.extensions:
        access = app.extensions["logfile"].access_handler
        handlers: list[Any] = [*logging.getLogger(app.name).handlers, access]
        counting = [handler for handler in handlers if hasattr(handler, "dropped")]
        if counting:
            yield Value(all_of.LOG_WAITING, sum(handler.waiting for handler in counting))
            yield Value(all_of.LOG_DROPPED, sum(handler.dropped for handler in counting))


def _throttle(app: Quart) -> Iterator[Value]:
    throttle = app.extensions.get("throttling")
    if throttle is not None and hasattr(throttle, "refused"):
        yield Value(all_of.THROTTLED, throttle.refused)
        yield Value(all_of.WITHOUT_REDIS, throttle.counters.is_away)
