"""What a developer could notice of an application, as plain values."""

import base64
import json
import logging
import re
import sys
import zlib
from collections import Counter
from typing import Any

from werkzeug.exceptions import HTTPException

LOGGER = "parity"
VOLATILE = re.compile(r"0x[0-9a-f]+")
SESSION = re.compile(r"^session=(?P<payload>[^;]*?)(\.[\w-]+\.[\w-]+)?; ")
EXPIRES = re.compile(r"Expires=[^;]+")


class Journal:
    """The events of one run in order, and how often each feature was exercised."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.marks: Counter[str] = Counter()
        self.closed = False

    def note(self, kind: str, *details: Any) -> None:
        if not self.closed:
            self.events.append((kind, *details))

    def mark(self, name: str) -> None:
        self.marks[name] += 1


class JournalHandler(logging.Handler):
    """Writes records into a journal; it has a level, so that no framework adds a handler."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.DEBUG)
        self.journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception as unprintable:  # noqa: BLE001  # it is observed
            message = f"unprintable record: {unprintable}"
        error = record.exc_info[1] if record.exc_info else None
        name = "app" if record.name == LOGGER else record.name
        self.journal.note("log", name, record.levelname, stable(message), describe_error(error))


def stable(text: str) -> str:
    return VOLATILE.sub("0x", text)


def describe_error(error: BaseException | None) -> Any:
    if error is None:
        return None
    try:
        text = stable(str(error))
    except Exception as unprintable:  # noqa: BLE001  # it is observed
        text = f"unprintable: {unprintable}"
    details: list[Any] = [type(error).__name__, text]
    if isinstance(error, HTTPException):
        original = getattr(error, "original_exception", None)
        details += [error.code, error.response is not None, describe_error(original)]
    if error.__cause__ is not None:
        details.append(("cause", type(error.__cause__).__name__))
    if error.__context__ is not None:
        details.append(("context", type(error.__context__).__name__))
    return tuple(details)


def describe_active_error() -> str | None:
    active = sys.exc_info()[0]
    return active.__name__ if active else None


def describe_headers(headers: Any) -> tuple[tuple[str, str], ...]:
    """Sorted, with the signature of the session and the times of expiry left out."""
    shown = []
    for name, value in headers.items():
        if name.lower() == "set-cookie":
            value = EXPIRES.sub("Expires=then", SESSION.sub(describe_session, value))
        shown.append((name.lower(), stable(value)))
    return tuple(sorted(shown))


def describe_session(cookie: re.Match[str]) -> str:
    """The contents, independent of the order in which they were written."""
    payload = cookie["payload"]
    packed = payload.startswith(".")
    data = base64.urlsafe_b64decode(payload.lstrip(".") + "===") if payload else b"null"
    content = json.loads(zlib.decompress(data) if packed else data)
    return f"session={json.dumps(content, sort_keys=True)}; "


def describe_response(response: Any, expected: type) -> Any:
    """What functions that get a response can see of it."""
    kind = "own" if isinstance(response, expected) else type(response).__name__
    return (kind, response.status, describe_headers(response.headers))


def describe(value: Any, expected: type) -> Any:
    if isinstance(value, BaseException):
        return describe_error(value)
    if hasattr(value, "status_code") and hasattr(value, "headers"):
        return describe_response(value, expected)
    if isinstance(value, dict):
        return tuple((key, describe(value[key], expected)) for key in sorted(value))
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    return type(value).__name__
