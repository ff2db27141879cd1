"""Metrics of an application for Prometheus: what it does, as numbers, over all workers.

`Metrics(app)` counts requests and, with METRICS_TOKEN, answers scrapes at /metrics. It also shows
what the other parts of the application know of themselves; it imports none that is not used.
Imports prometheus_client, the extra `metrics`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quartapp.metrics.extension import Metrics as Metrics
    from quartapp.metrics.own import Counter as Counter
    from quartapp.metrics.own import Histogram as Histogram

# Imported when they are first used: `metrics.settings` is needed without the rest.
_MODULES = {"Counter": "own", "Histogram": "own", "Metrics": "extension"}

if not TYPE_CHECKING:  # a type checker wants a list of literals; "X as X" says the same to it
    __all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
