"""Reports to Sentry as well, if SENTRY_DSN is set: the same scrubbed reports, and nothing else.

None of Sentry's integrations is used: they would read frames and requests again, unscrubbed. Only
its transport is used, which has a bounded queue, a thread, compression and waits for rate limits.
Sentry gets what the journal gets as full reports: the first five of an error in a minute.
"""

import importlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from quartapp.extras import needs
from quartapp.redact.traceback import ExceptionInfo, Frame, dotted
from quartapp.reporting.report import Report
from quartapp.settings import ConfigurationError

_LEVELS = {"CRITICAL": "fatal"}
_FLUSH_SECONDS = 2.0

_logger = logging.getLogger(__name__)


class Sentry:
    """A listener of the recorder that sends reports. Calling it never waits and never raises.

    Making one raises ConfigurationError if the extra is not installed.
    """

    def __init__(self, dsn: str) -> None:
        try:
            # an optional extra, which takes a tenth of a second to import
            self._sdk = importlib.import_module("sentry_sdk")
            self._envelope = importlib.import_module("sentry_sdk.envelope").Envelope
        except ImportError as error:
            raise ConfigurationError(f"SENTRY_DSN: {needs('sentry')}") from error
        client = self._sdk.Client(
            dsn=dsn,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            enable_backpressure_handling=False,
            send_client_reports=False,
        )
        self._transport = client.transport

    def __call__(self, report: Report) -> None:
        """Queue a report. If a hundred wait already it is left out; the journal has it."""
        try:
            envelope = self._envelope(headers={"event_id": report.id})
            envelope.add_event(event_of(report))
            self._transport.capture_envelope(envelope)
        except Exception as error:  # noqa: BLE001 - the journal has it; Sentry is an addition
            _logger.warning("A report was not sent to Sentry: %s", type(error).__name__)

    def close(self) -> None:
        """Send what waits, for at most two seconds. Blocks: call it in a thread."""
        self._transport.flush(timeout=_FLUSH_SECONDS)
        self._transport.kill()


def event_of(report: Report) -> dict[str, Any]:
    """A report as an event of Sentry (https://develop.sentry.dev/sdk/data-model/event-payloads/).

    Sentry groups by our fingerprint.
    """
    origin = report.origin
    event = {
        "event_id": report.id,
        "timestamp": datetime.fromtimestamp(report.time, UTC).isoformat(),
        "platform": "python",
        "level": _LEVELS.get(report.level, report.level.lower()),
        "logger": report.logger,
        "fingerprint": [report.fingerprint],
        "transaction": report.request.route if report.request else "",
        "culprit": report.culprit,
        "server_name": origin.host,
        "release": origin.release,
        "environment": origin.environment,
        "user": {"id": report.user_id} if report.user_id else {},
        "tags": {"reference": report.reference, "door": report.mechanism, "worker": origin.worker},
        "extra": dict(report.extra),
        "modules": dict(origin.versions),
        "logentry": {"formatted": report.message} if report.message else {},
        "request": _request(report),
        # Sentry expects the oldest first
        "exception": {"values": [_exception(info) for info in reversed(report.exceptions)]},
    }
    if not report.exceptions:
        del event["exception"]
        event["logentry"] = {"formatted": report.message or report.title}
    return {name: value for name, value in event.items() if value}


def _request(report: Report) -> dict[str, Any]:
    request = report.request
    if request is None:
        return {}
    return {"method": request.method, "url": request.url, "headers": dict(request.headers)}


def _exception(info: ExceptionInfo) -> dict[str, Any]:
    module, _, name = info.type.rpartition(".")
    return {
        "type": name,
        "module": module or "builtins",
        "value": "\n".join([info.message, *info.notes]),
        "mechanism": {"type": "quartapp", "handled": False, "source": info.relation},
        "stacktrace": {"frames": list(_frames(info))},
    }


def _frames(info: ExceptionInfo) -> Iterator[dict[str, Any]]:
    for frame in info.frames:
        shown = {
            "filename": frame.file,
            "module": dotted(frame),
            "function": frame.function,
            "lineno": frame.line,
            "in_app": frame.in_app,
        }
        yield shown | (_details(frame) if frame.in_app else {})


def _details(frame: Frame) -> dict[str, Any]:
    at = max(frame.line - frame.first_line, 0)
    return {
        "pre_context": frame.source[:at],
        "context_line": "".join(frame.source[at : at + 1]),
        "post_context": frame.source[at + 1 :],
        "vars": dict(frame.variables),
    }
