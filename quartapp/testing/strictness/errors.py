"""Errors that the application has logged or recorded, and that the test has not looked at.

A test looks at them with the fixtures `captured_reports` or `caplog`, or at the status or the body
of the response 5xx that they led to.
"""

import functools
import logging
import sys
from typing import Any

_LOOKS = frozenset(
    {
        *("status_code", "status", "get_data", "get_json", "data", "json", "text", "content"),
        *("is_error", "is_server_error", "is_success", "raise_for_status"),
    }
)

_CLIENTS = (
    ("quart.testing.connections", "TestHTTPConnection", "as_response"),
    ("httpx", "AsyncClient", "send"),
)
"""Modules, classes and methods that return a response."""


class Errors(logging.Handler):
    """`unseen` are the errors of the current test at which it has not looked."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.unseen: list[str] = []
        self._patched: set[str] = set()
        self._report = ""

    def begin(self) -> None:
        """Forget those of the test before."""
        self.unseen.clear()
        root = logging.getLogger()
        if self not in root.handlers:  # the configuration of an application may remove it
            root.addHandler(self)
        for module, kind, method in _CLIENTS:
            if module in sys.modules and module not in self._patched:
                self._patched.add(module)
                self._watch_responses(getattr(sys.modules[module], kind), method)

    def end(self) -> None:
        """Note nothing more."""
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Note a line of the log."""
        try:
            text = record.getMessage().partition("\n")[0][:200]
            error = record.exc_info[1] if record.exc_info else None
            cause = f", {type(error).__name__}: {error}" if error is not None else ""
        except Exception:  # noqa: BLE001 - an error of the caller, which logging shows
            text, cause = "a line that has no text", ""
        if self._report in self.unseen:  # the same error
            self.unseen.remove(self._report)
        self.unseen.append(f"{record.name} has logged {text!r}{cause[:200]}")

    def note_report(self, report: Any) -> None:
        """Note a report of `quartapp.reporting`; a line of the log about it replaces it."""
        self._report = f"an error was reported: {report.title}"
        self.unseen.append(self._report)

    def _watch_responses(self, client: Any, method: str) -> None:
        receive = getattr(client, method)

        @functools.wraps(receive)
        async def watched(*arguments: Any, **options: Any) -> Any:
            response = await receive(*arguments, **options)
            if response.status_code >= 500 and self.unseen:
                led_to = list(self.unseen)

                def look() -> None:
                    while led_to:
                        text = led_to.pop()
                        if text in self.unseen:
                            self.unseen.remove(text)

                response.__class__ = _watched(type(response))
                response.__dict__["_quartapp_look"] = look
            return response

        setattr(client, method, watched)


def _watched(kind: type[Any]) -> type[Any]:
    class Watched(kind):  # type: ignore[misc]  # any client's response
        def __getattribute__(self, name: str) -> Any:
            if name in _LOOKS:
                object.__getattribute__(self, "__dict__")["_quartapp_look"]()
            return super().__getattribute__(name)

    Watched.__name__, Watched.__qualname__ = kind.__name__, kind.__qualname__
    return Watched
