"""The answer to a scrape: the sum over all workers, in the format that the client accepts."""

import gzip
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from time import monotonic
from typing import Any

from prometheus_client import ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from quartapp.metrics import catalogue as all_of
from quartapp.metrics.slots import Found
from quartapp.metrics.sources import Value
from quartapp.metrics.store import Metric

Rows = dict[tuple[str, ...], list[float]]
"""The numbers of a metric, by the values of its labels."""

_OF_PROCESSES = {
    "process_cpu_seconds": all_of.CPU,
    "process_resident_memory_bytes": all_of.MEMORY,
    "process_virtual_memory_bytes": all_of.VIRTUAL,
    "process_start_time_seconds": all_of.STARTED,
    "process_open_fds": all_of.OPEN_FILES,
    "process_max_fds": all_of.MOST_FILES,
}


def render(
    metrics: Iterable[Metric],
    workers: Sequence[Found],
    machine: Iterable[Value],
    accept: str,
    *,
    compress: bool = False,
) -> tuple[bytes, str]:
    """The page and its content type. Blocks for some milliseconds: call it in a thread."""
    metrics = list(metrics)
    rows = _add_up(metrics, workers)
    values = [*machine, *_of_processes(workers)]
    for metric, value, labels in values:
        rows[metric.name][labels] = [value]
    encode, content_type = choose_encoder(accept)
    page = encode(_registry(_families(metrics, rows)))
    return (gzip.compress(page, 1) if compress else page), content_type


def _add_up(metrics: Iterable[Metric], workers: Sequence[Found]) -> defaultdict[str, Rows]:
    """Add the rows of all workers: the counters of all, the gauges of those that live.

    A row of another form is that of another version, which has ended or will.
    """
    forms = {metric.name: (metric, metric.form) for metric in metrics}
    found: defaultdict[str, Rows] = defaultdict(dict)
    for worker in workers:
        for name, form, labels, numbers in worker.rows:
            metric, expected = forms.get(name, (None, ""))
            if metric is None or form != expected:
                continue
            if metric.kind == "gauge" and not worker.is_alive:
                continue
            if metric.each:
                labels = (*labels, str(worker.number))
            before = found[name].get(labels)
            found[name][labels] = (
                list(numbers)
                if before is None
                else [a + b for a, b in zip(before, numbers, strict=True)]
            )
    now = monotonic()
    for beat in found[all_of.BEAT.name].values():
        beat[0] = max(0.0, now - beat[0])  # it was the time of the beat
    for labels, numbers in found[all_of.DURATION.name].items():
        found[all_of.REQUESTS.name][labels] = [sum(numbers[:-1])]
    return found


def _of_processes(workers: Iterable[Found]) -> Iterator[Value]:
    """What the system knows of the processes of the workers, on Linux."""
    for worker in workers:
        pid = next((row.numbers[0] for row in worker.rows if row.name == all_of.PID.name), 0)
        if not (worker.is_alive and pid):
            continue
        collector = ProcessCollector(pid=lambda pid=pid: int(pid), registry=None)  # type: ignore[misc]
        for family in collector.collect():
            if metric := _OF_PROCESSES.get(family.name):
                for sample in family.samples:
                    yield Value(metric, sample.value, (str(worker.number),))


def _families(metrics: Iterable[Metric], rows: dict[str, Rows]) -> Iterator[Family]:
    for metric in metrics:
        if found := rows.get(metric.name):
            yield _family(metric, found)


def _family(metric: Metric, rows: Rows) -> Family:
    labels = (*metric.labels, "worker") if metric.each else metric.labels
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=labels)
        bounds = [*(str(float(bound)) for bound in metric.bounds), "+Inf"]
        for values, numbers in rows.items():
            buckets = list(zip(bounds, accumulate(numbers[:-1]), strict=True))
            histogram.add_metric(values, buckets, numbers[-1])
        return histogram
    made = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = made(metric.name, metric.help, labels=labels)
    for values, (value,) in rows.items():
        family.add_metric(values, value)
    return family


def _registry(families: Iterable[Family]) -> CollectorRegistry:
    class Families(Collector):
        def collect(self) -> Iterable[Family]:
            return families

        def describe(self) -> Iterable[Any]:
            return []

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families())
    return registry
