"""Records for log files and terminals: light to read, and without secrets."""

import contextlib
import logging
from collections.abc import Callable

from quartapp.logfile.tracebacks import Traceback
from quartapp.redact.collect import SecretCollector
from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of, qualified
from quartapp.redact.messages import message_of_record
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber


class Cleaner:
    """Makes of a record another one, which any formatter may write and any thread may hold.

    Its message and its traceback, both text by now, are scrubbed as a report is: a driver's DETAIL
    and HINT lines, the parameters of statements and the secrets in what `request_secrets` returns
    are not in them. The original record is not changed, so other handlers can format it their way.
    Never raises.
    """

    def __init__(
        self,
        *,
        places: Places,
        scrubber: Scrubber,
        request_secrets: Callable[[], Context] = Context,
    ) -> None:
        self._places = places
        self._scrubber = scrubber
        self._request_secrets = request_secrets

    def __call__(self, record: logging.LogRecord) -> logging.LogRecord:
        """The clean record."""
        clean = object.__new__(logging.LogRecord)
        clean.__dict__.update(record.__dict__)  # at a tenth of the time of copy.copy
        clean.args, clean.exc_info, clean.exc_text = None, None, None
        error = exception_of(record)
        if error is None or record.stack_info:
            message, stack = self._texts(record)
            clean.msg, clean.stack_info = message, stack or None
        if error is None:
            return clean
        try:
            found = Traceback(error, self._places)
            found.collector.context(self._request_secrets())
            found.collector.record(record)
            clean.msg, clean.exc_text = found.text(message_of_record(record), self._scrubber)
        except Exception as failure:  # noqa: BLE001 - a line of little is worth more than none
            clean.msg = (
                f"{qualified(type(error))}, whose traceback raised {qualified(type(failure))}"
            )
        return clean

    def _texts(self, record: logging.LogRecord) -> list[str]:
        """The message and the stack."""
        texts = [message_of_record(record), record.stack_info or ""]
        collector = SecretCollector()
        with contextlib.suppress(Exception):  # patterns and known secrets are still hidden
            collector.record(record)
            collector.context(self._request_secrets())
        return self._scrubber.clean(texts, secrets=collector.secrets)
