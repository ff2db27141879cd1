"""What is measured: docs/watch.md lists the same names."""

from quartapp.metrics.store import Metric

LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LAG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

UNMATCHED = "unmatched"
"""The route of requests that no rule matches, or that were refused before it was looked for."""

_ALL: dict[str, Metric] = {}


def _add(metric: Metric) -> Metric:
    _ALL[metric.name] = metric
    return metric


def _counter(name: str, text: str, *labels: str) -> Metric:
    return _add(Metric(name, "counter", text, labels))


def _gauge(name: str, text: str, *labels: str, each: bool = False) -> Metric:
    return _add(Metric(name, "gauge", text, labels, each=each))


def _histogram(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Metric:
    return _add(Metric(name, "histogram", text, labels, bounds))


# Of the requests
DURATION = _histogram(
    "http_request_duration_seconds",
    "Seconds until the response to a request began; status 499 if its client left before.",
    LATENCY,
    *("route", "method", "status"),
)
REQUESTS = _counter("http_requests", "Requests that were answered.", "route", "method", "status")
IN_PROGRESS = _gauge("http_requests_in_progress", "Requests that are being answered.")
WEBSOCKETS = _counter(
    "websockets", "Websockets that were accepted (101) or refused.", "route", "status"
)
WEBSOCKETS_OPEN = _gauge("websockets_open", "Websockets that are open.")

# Of each worker
STARTS = _counter("quartapp_worker_starts", "Workers that began to serve.")
BEAT = _gauge(
    "quartapp_worker_heartbeat_age_seconds", "Seconds since its loop last ran.", each=True
)
PID = _gauge("quartapp_worker_pid", "The id of its process.", each=True)
LAG_OF_LOOP = _histogram(
    "quartapp_event_loop_lag_seconds", "How late a timer of the event loop fired.", LAG
)
ADMITTED = _counter("quartapp_admission_admitted", "Requests that were admitted.")
QUEUED = _counter("quartapp_admission_queued", "Requests that had to wait for admission.")
REFUSED = _counter("quartapp_admission_refused", "Requests that got 503 under overload.")
WAITING = _gauge("quartapp_admission_waiting", "Requests that wait for admission.")
TIMEOUTS = _counter("quartapp_request_timeouts", "Requests that were stopped at a time limit.")
ERRORS = _counter("quartapp_errors", "Errors that were recorded, by class.", "error")
LOST = _counter("quartapp_errors_lost", "Errors whose details the journal did not take.")
TROUBLE = _gauge(
    "quartapp_reporting_trouble", "Workers in which errors are not recorded or not counted."
)
POOL_SIZE = _gauge("quartapp_database_pool_size", "Connections that the pools may have.")
POOL_IN_USE = _gauge("quartapp_database_pool_in_use", "Connections that are in use.")
POOL_WAITING = _gauge("quartapp_database_pool_waiting", "Requests that wait for a connection.")
POOL_TIMEOUTS = _counter(
    "quartapp_database_pool_timeouts", "Requests that got no connection in time."
)
POOL_REFUSED = _counter(
    "quartapp_database_pool_refused", "Requests that found too many waiting for a connection."
)
LOG_WAITING = _gauge(
    "quartapp_log_waiting", "Lines that wait to be written to the log or the access log."
)
LOG_DROPPED = _counter(
    "quartapp_log_dropped", "Lines that are missing in the log or the access log."
)
THROTTLED = _counter("quartapp_throttling_refused", "Requests that got 429.")
WITHOUT_REDIS = _gauge(
    "quartapp_throttling_without_redis", "Workers that count for themselves as Redis is away."
)

# Of the machine, by the worker that answers
WORKERS = _gauge("quartapp_workers", "Workers that serve.")
CONFIGURED = _gauge("quartapp_workers_configured", "Workers that should serve (WORKERS).")
BUILD = _gauge("quartapp_build_info", "What runs.", "release", "python", "server")
JOURNAL_BYTES = _gauge("quartapp_journal_bytes", "Bytes that the journal of errors takes.")
JOURNAL_LIMIT = _gauge("quartapp_journal_limit_bytes", "Bytes that it may take.")
JOURNAL_SEGMENTS = _gauge("quartapp_journal_segments", "Files of the journal.")
UNCOUNTED = _gauge("quartapp_journal_uncounted_segments", "Files with errors not counted yet.")
UNCOUNTED_AGE = _gauge(
    "quartapp_journal_uncounted_age_seconds", "Seconds since the oldest error not counted yet."
)
DISK_FREE = _gauge("quartapp_disk_free_bytes", "Bytes that are free for INSTANCE_PATH.")
DISK_SIZE = _gauge("quartapp_disk_size_bytes", "Bytes of the disk of INSTANCE_PATH.")
DATABASE_UP = _gauge("quartapp_database_up", "Whether the database answers.")
OUTBOX_WAITING = _gauge("quartapp_outbox_waiting", "Messages that wait to be sent.", "outbox")
OUTBOX_AGE = _gauge(
    "quartapp_outbox_age_seconds", "Seconds since the oldest waiting message was queued.", "outbox"
)
OUTBOX_FAILING = _gauge(
    "quartapp_outbox_failing", "Waiting messages that could not be sent so far.", "outbox"
)
OUTBOX_DEAD = _gauge(
    "quartapp_outbox_given_up", "Messages that were rejected, and are not tried again.", "outbox"
)
FAILING = _gauge("quartapp_metrics_failing", "Whether a part of this page is missing.", "part")

# Of the process of each worker
CPU = _counter("process_cpu_seconds", "User and system CPU time spent in seconds.", "worker")
MEMORY = _gauge("process_resident_memory_bytes", "Resident memory size in bytes.", "worker")
VIRTUAL = _gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", "worker")
STARTED = _gauge(
    "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", "worker"
)
OPEN_FILES = _gauge("process_open_fds", "Number of open file descriptors.", "worker")
MOST_FILES = _gauge("process_max_fds", "Maximum number of open file descriptors.", "worker")

ALL = tuple(_ALL.values())
