"""Log lines as JSON, one object a line, for programs that collect logs.

The names are those that are in general use: `trace_id` and `span_id` as OpenTelemetry writes them
(https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/), the others as
structlog and python-json-logger do.
"""

import json
import logging
import os
import time
from typing import Any

from quart import has_request_context, has_websocket_context, request, websocket

from quartapp.logfile.record import VALUE, error_of, extra_of, safe_value
from quartapp.redact.messages import message_of_record
from quartapp.redact.scrub import Scrubber, cut
from quartapp.request_ids import current_trace, request_id

MAX_LINE = 16_000
"""The most bytes of a line: Docker's logs split those of more than 16 KB."""

_dumps = json.JSONEncoder().encode
_plain = Scrubber(only=()).text
_NAME = 40
"""Characters of a further attribute's name: 20 of them leave room in a line."""


class JsonFormatter(logging.Formatter):
    """Makes one line of ASCII of a record, at most MAX_LINE long, whatever is in it.

    It runs no code of the application's objects, except the `__str__` of arguments in records that
    no `Cleaner` has made text of.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line feed at its end."""
        entry: dict[str, Any] = {
            "time": moment(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        entry |= of_request()
        entry |= _where()
        if reference := record.__dict__.get("error_reference"):
            entry["reference"] = str(reference)
        if error := self._error(record):
            entry["exception"] = error
        if record.stack_info:
            entry["stack"] = record.stack_info
        if extra := extra_of(record):
            entry["extra"] = {cut(name, _NAME): _value(name, each) for name, each in extra.items()}
        entry["location"] = f"{record.pathname}:{record.lineno}"
        entry["process"] = os.getpid()
        return one_line(entry)

    def _error(self, record: logging.LogRecord) -> dict[str, str]:
        known = error_of(record)
        stack = record.exc_text or ""
        if known is None and record.exc_info:
            stack = stack or self.formatException(record.exc_info)
        found = {"type": known[0], "message": known[1]} if known else {}
        return found | ({"stack": stack} if stack else {})


def one_line(entry: dict[str, Any]) -> str:
    """An entry as JSON, without line feeds; its longest texts are cut if it is too long."""
    line = _dumps(entry)
    while len(line) > MAX_LINE:
        _cut_longest(entry, len(line) - MAX_LINE)
        line = _dumps(entry)
    return line


def moment(seconds: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


def of_request() -> dict[str, str]:
    """The ids of the current request; only what is known."""
    trace, span = current_trace()
    found = {"request_id": request_id(), "trace_id": trace, "span_id": span}
    return {name: value for name, value in found.items() if value}


_last = (-1, "")


def _second(whole: int) -> str:
    global _last
    known, text = _last
    if known != whole:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        _last = whole, text  # at once: another thread may ask
    return text


def _where() -> dict[str, str]:
    """The method and the route of the current request."""
    if has_request_context():
        found: Any = request
        method = found.method
    elif has_websocket_context():
        found, method = websocket, "WEBSOCKET"
    else:
        return {}
    return {"method": cut(method, 100), "route": found.url_rule.rule if found.url_rule else ""}


def _message(record: logging.LogRecord) -> str:
    if not record.args and type(record.msg) is str:
        return record.msg
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a line is better than none
        return message_of_record(record)


def _value(name: str, value: object) -> object:
    safe = safe_value(name, value)
    return cut(_plain(safe), VALUE) if type(safe) is str else safe


def _cut_longest(entry: dict[str, Any], excess: int) -> None:
    """Take the middle out of the longest text, so that the line is shorter by about `excess`."""
    holders: list[dict[str, Any]] = [entry, entry.get("exception", {}), entry.get("extra", {})]
    places = [(each, name) for each in holders for name in each if type(each[name]) is str]
    holder, name = max(places, key=lambda place: len(_dumps(place[0][place[1]])))
    text = holder[name]
    # A character may take up to 12 bytes, so more than one step may be needed.
    kept = max(len(text) - excess, len(text) // 2, 1) - 1
    holder[name] = f"{text[: kept // 3]}…{text[len(text) - (kept - kept // 3) :]}"
