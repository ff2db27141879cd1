"""The extension: metrics of an application."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from weakref import WeakSet

from quart import Quart, current_app, has_app_context

from quartapp.extras import needs
from quartapp.installation import check_installable
from quartapp.metrics.catalogue import ALL, LATENCY
from quartapp.metrics.own import Counter, Histogram, check_name
from quartapp.metrics.settings import MetricsSettings
from quartapp.metrics.store import Metric, Store
from quartapp.settings import ConfigurationError


class Metrics:
    """Counts what an application does, and shows the sum over all workers to Prometheus.

        app.config["METRICS_TOKEN"] = "..."
        Metrics(app)

    Or `metrics = Metrics()`, then `metrics.init_app(app)` in a factory: one object serves any
    number of applications. What belongs to one of them is `app.extensions["metrics"]`.

    A GET of `path` with `Authorization: Bearer METRICS_TOKEN` is answered with the metrics, before
    anything of the application: under overload too, and whatever TRUSTED_HOSTS says. All other
    requests are the application's, which does not know the path. Without METRICS_TOKEN nobody is
    answered.

    `outboxes` are those of the application itself, by their names: functions that return a
    `quartapp.mail.mailer.Mailer`, or None. Those of Reporting are known.
    """

    def __init__(
        self,
        app: Quart | None = None,
        *,
        path: str = "/metrics",
        outboxes: Mapping[str, Callable[[], Any]] | None = None,
    ) -> None:
        if not path.startswith("/") or not path.isascii():
            raise ValueError(f"Metrics: expected a path such as '/metrics', not {path!r}")
        self._path = path
        self._outboxes = dict(outboxes or {})
        self._own: list[Metric] = []
        self._gauges: list[tuple[Metric, Callable[[], float]]] = []
        self._apps: WeakSet[Quart] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Count the requests of this application too.

        Reads METRICS_TOKEN, WORKERS and SERVER from `app.config`. Nothing connects, and no file,
        thread or task is made before the application serves. Raises ConfigurationError, and
        RuntimeError if the application has metrics already, or has begun to serve.
        """
        check_installable(app, Metrics, "metrics")
        settings = MetricsSettings.from_config(app.config)
        if find_spec("prometheus_client") is None:
            raise ConfigurationError(f"Metrics {needs('metrics')}")
        from quartapp.metrics import middleware
        from quartapp.metrics.worker import WorkerMetrics

        token = settings.metrics_token.get_secret_value() if settings.metrics_token else ""
        worker = WorkerMetrics(app, token, self._path, self._outboxes)
        worker.metrics += self._own
        worker.sources.gauges += self._gauges
        app.before_serving(worker.start)
        app.after_serving(worker.stop)
        app.extensions["metrics"] = worker
        middleware.connect(app)
        worker.wrap()
        self._apps.add(app)

    def counter(self, name: str, help: str, labels: Sequence[str] = ()) -> Counter:
        """A counter of the application; its name gets `_total` at the end.

        Raises ValueError for names that are taken or reserved.
        """
        metric = Metric(name.removesuffix("_total"), "counter", help, tuple(labels))
        self._add(metric)
        return Counter(metric, self._store)

    def histogram(
        self,
        name: str,
        help: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = LATENCY,
    ) -> Histogram:
        """A histogram of the application; `buckets` are the upper bounds. Raises ValueError."""
        bounds = tuple(map(float, buckets))
        metric = Metric(name, "histogram", help, tuple(labels), bounds)
        self._add(metric)
        return Histogram(metric, self._store)

    def gauge(self, name: str, help: str, function: Callable[[], float]) -> None:
        """A gauge of the application: what `function` returns twice a second, added up over all
        workers. It must not block. Raises ValueError."""
        metric = Metric(name, "gauge", help)
        self._add(metric)
        self._gauges.append((metric, function))
        for app in self._apps:
            app.extensions["metrics"].sources.gauges.append((metric, function))

    def _add(self, metric: Metric) -> None:
        check_name(metric, [known.name for known in (*ALL, *self._own)])
        self._own.append(metric)
        for app in self._apps:
            app.extensions["metrics"].metrics.append(metric)

    def _store(self) -> Store:
        """That of the current application, else of the only one."""
        apps = list(self._apps)
        if has_app_context():
            current: Any = current_app
            app = current._get_current_object()
            if app in self._apps:
                apps = [app]
        if len(apps) != 1:
            raise RuntimeError(
                "These metrics belong to no application, or to several: count within an app context"
            )
        store: Store = apps[0].extensions["metrics"].store
        return store
