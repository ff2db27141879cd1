"""Records for log files and terminals, without secrets, and with short tracebacks."""

import contextlib
import logging
from collections.abc import Callable
from math import isfinite
from typing import cast

from quartapp.redact.collect import SecretCollector
from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of, qualified
from quartapp.redact.messages import MESSAGE, message_of, message_of_record
from quartapp.redact.places import Places
from quartapp.redact.printing import one_line, printed
from quartapp.redact.reading import ExceptionReading, attach, attached, summary_of
from quartapp.redact.scrub import Scrubber, cut, window
from quartapp.redact.values import ITEMS, is_secret, named, shown

VALUE = 1000
"""Characters of a further attribute that are written."""

_ERROR = "_quartapp_error"
_OWN = {"message", "asctime", "taskName", "error_reference"}
_OWN.update(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)


class Cleaner:
    """Makes a copy of a record that any formatter may write and any thread may hold.

    Its message and its traceback, both text by now, are scrubbed as a report is: a driver's DETAIL
    and HINT lines, the parameters of statements and the secrets in what `request_secrets` returns
    are not in them. So are its further attributes (`extra`), of which numbers remain what they are,
    and everything else becomes a text. The original record is not changed, so other handlers can
    format it their way. Never raises.
    """

    def __init__(
        self,
        *,
        places: Places,
        scrubber: Scrubber,
        request_secrets: Callable[[], Context] = Context,
    ) -> None:
        self._places = places
        self.scrubber = scrubber
        self._request_secrets = request_secrets

    def __call__(self, record: logging.LogRecord) -> logging.LogRecord:
        """The clean record."""
        clean = object.__new__(logging.LogRecord)
        clean.__dict__.update(record.__dict__)  # at a tenth of the time of copy.copy
        clean.args, clean.exc_info, clean.exc_text = None, None, None
        attach(clean, None)
        if extra := extra_of(record):
            clean.__dict__.update(self._extra(record, extra))
        error = exception_of(record)
        if error is None or record.stack_info:
            message, stack = self._texts(record)
            clean.msg, clean.stack_info = one_line(message), stack or None
        if error is None:
            return clean
        try:
            clean.msg, clean.exc_text, error_text = self._message_and_traceback(record, error)
            clean.__dict__[_ERROR] = qualified(type(error)), error_text
        except Exception as failure:  # noqa: BLE001 - a short line is better than none
            clean.msg = (
                f"{qualified(type(error))}, whose traceback raised {qualified(type(failure))}"
            )
        return clean

    def _texts(self, record: logging.LogRecord) -> list[str]:
        """The message and the stack."""
        texts = [message_of_record(record), record.stack_info or ""]
        return self.scrubber.clean(texts, secrets=self._secrets(record))

    def _secrets(self, record: logging.LogRecord) -> set[str]:
        collector = SecretCollector()
        with contextlib.suppress(Exception):  # patterns and known secrets are still hidden
            collector.record(record)
            collector.context(self._request_secrets())
        return collector.secrets

    def _extra(self, record: logging.LogRecord, extra: dict[str, object]) -> dict[str, object]:
        secrets = self._secrets(record)
        collector = SecretCollector()
        collector.pairs(extra.items())
        safe = {name: safe_value(name, value) for name, value in extra.items()}
        texts = [value for value in safe.values() if type(value) is str]
        found = iter(self.scrubber.clean(texts, secrets=secrets | collector.secrets))
        return {
            name: cut(next(found), VALUE) if type(value) is str else value
            for name, value in safe.items()
        }

    def _message_and_traceback(
        self, record: logging.LogRecord, error: BaseException
    ) -> tuple[str, str, str]:
        """The message, the traceback, and the text of the exception."""
        texts = [message_of_record(record)]
        reading = attached(record, error)
        if reading is not None:
            [message] = self.scrubber.clean(texts, secrets=reading.collector.secrets)
        else:
            reading = ExceptionReading(error, self._places, details=False)
            reading.collector.context(self._request_secrets())
            reading.collector.record(record)
            if summary := summary_of(record):
                texts.append(message_of(error))
                message, text = self.scrubber.clean(texts, secrets=reading.collector.secrets)
                text = cut(text, MESSAGE)
                own = f"{qualified(type(error))}: {text}"
                return one_line(f"{cut(message, MESSAGE)} {own} {summary}"), "", text
            [message] = reading.scrub(self.scrubber, texts)
        text = reading.exceptions[0].message if reading.exceptions else ""
        return one_line(cut(message, MESSAGE)), printed(reading.exceptions), text


def extra_of(record: logging.LogRecord) -> dict[str, object]:
    """The attributes of a record that are not the library's own, nor private: at most ITEMS."""
    found = record.__dict__.keys() - _OWN
    if not found:
        return {}
    names = [name for name in record.__dict__ if name in found and type(name) is str]
    return {name: record.__dict__[name] for name in names[:ITEMS] if not name.startswith("_")}


def error_of(record: logging.LogRecord) -> tuple[str, str] | None:
    """The class and the text of the exception of a clean record; None if it has none."""
    return cast(tuple[str, str] | None, record.__dict__.get(_ERROR))


def safe_value(name: str, value: object) -> object:
    """A value for JSON, made without running its code: a number, True, False, None, or a text that
    is bounded but not yet scrubbed. What the name says is a secret is hidden."""
    if is_secret(name, value):
        return named(name, value)
    kind = type(value)
    if kind is str:
        return cast(str, value)[: window(VALUE)]
    if value is None or kind is bool:
        return value
    if kind is float and isfinite(cast(float, value)):
        return value
    if kind is int and cast(int, value).bit_length() < 64:
        return value
    return shown(value)
