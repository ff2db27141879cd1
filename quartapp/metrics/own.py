"""Metrics of the application itself: `orders = metrics.counter("shop_orders", "...")`."""

import re
from collections.abc import Callable, Sequence
from math import inf, isfinite

from quartapp.metrics.store import Metric, Store

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED = ("http_", "websockets", "quartapp_", "process_")
_MOST_BUCKETS = 32


class _Own:
    def __init__(self, metric: Metric, store: Callable[[], Store]) -> None:
        self._metric = metric
        self._store = store

    def _labels(self, given: dict[str, object]) -> tuple[str, ...]:
        if given.keys() != set(self._metric.labels):
            expected = ", ".join(self._metric.labels) or "none"
            raise TypeError(f"{self._metric.name}: expected as labels: {expected}")
        return tuple(str(given[name]) for name in self._metric.labels)


class Counter(_Own):
    """A number that only grows, such as of orders. Any thread may add to it."""

    def inc(self, amount: float = 1, **labels: object) -> None:
        """Add to it. Each label needs a value; after 1,000 values further ones are "other"."""
        if not 0 <= amount < inf:
            raise ValueError(f"{self._metric.name}: a counter only grows, by a number")
        values = self._labels(labels)
        self._store().add(self._metric, amount, *values)


class Histogram(_Own):
    """How large something is, such as seconds or bytes. Any thread may add to it."""

    def observe(self, value: float, **labels: object) -> None:
        """Add an observation. Each label needs a value; after 1,000 further ones are "other"."""
        if not isfinite(value):  # the sum would not be a number from then on
            raise ValueError(f"{self._metric.name}: {value} cannot be observed")
        values = self._labels(labels)
        self._store().observe(self._metric, value, *values)


def check_name(metric: Metric, known: Sequence[str]) -> None:
    """Raise ValueError for a name, a label or buckets that cannot be."""
    name = metric.name
    if not _NAME.fullmatch(name) or name.startswith(_RESERVED):
        raise ValueError(
            f"{name!r}: expected a name such as shop_orders, with a prefix of your own"
        )
    if name in known:
        raise ValueError(f"{name}: there is such a metric already")
    for label in metric.labels:
        if not _NAME.fullmatch(label) or label.startswith("__") or label in {"le", "worker"}:
            raise ValueError(f"{name}: {label!r} cannot be a label")
    bounds = metric.bounds
    grows = list(bounds) == sorted(set(bounds)) and all(map(isfinite, bounds))
    if not grows or len(bounds) > _MOST_BUCKETS:
        raise ValueError(
            f"{name}: expected at most {_MOST_BUCKETS} growing bounds of buckets, without infinity"
        )
    if metric.kind == "histogram" and not bounds:
        raise ValueError(f"{name}: a histogram needs buckets")
