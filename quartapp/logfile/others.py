"""What others print on this process's terminal, without secrets: libraries, servers, Python."""

import logging
import sys
from types import TracebackType

from quartapp.logfile.handler import Clean, ThreadedHandler

_SERVERS = ("hypercorn.error", "uvicorn.error")
"""Loggers with handlers that their servers attach, now or later."""
_ACCESS = ("hypercorn.access", "uvicorn.access")


def take_over(target: ThreadedHandler) -> None:
    """Have loggers without handlers write to `target`.

    Python would print them to standard error as they are. If the root logger has a handler, whoever
    attached it decides about them.
    """
    root = logging.getLogger()
    _remove(root)
    if not root.handlers:
        root.addHandler(_RootHandler(target))


def clean_servers(clean: Clean) -> None:
    """Clean what servers write themselves, until `leave_servers`."""
    leave_servers()
    for name in _SERVERS:
        logging.getLogger(name).addFilter(_CleaningFilter(clean))


def take_over_servers(target: ThreadedHandler) -> None:
    """Have `target` write what servers log, instead of their own handlers, until
    `leave_servers`."""
    leave_servers()
    for name in (*_SERVERS, *_ACCESS):
        logging.getLogger(name).addFilter(_PassingFilter(target))


def leave_servers() -> None:
    """Let servers write as they do."""
    for name in (*_SERVERS, *_ACCESS):
        server = logging.getLogger(name)
        for one in server.filters[:]:
            if isinstance(one, _CleaningFilter | _PassingFilter):
                server.removeFilter(one)


def clean_uncaught(clean: Clean, formatter: logging.Formatter | None = None) -> None:
    """Have Python print the exception that ends this process, as a command, without secrets.

    It is a traceback, or what `formatter` makes of its record. If somebody else has taken that
    over, they decide.
    """
    if sys.excepthook is not sys.__excepthook__ and not isinstance(sys.excepthook, _Uncaught):
        return
    sys.excepthook = _Uncaught(clean, formatter)


class _Uncaught:
    """An exception hook (`sys.excepthook`)."""

    def __init__(self, clean: Clean, formatter: logging.Formatter | None) -> None:
        self._clean = clean
        self._formatter = formatter

    def __call__(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if not issubclass(kind, Exception):  # KeyboardInterrupt
            sys.__excepthook__(kind, error, traceback)
            return
        info = (kind, error, traceback)
        message = "Uncaught exception" if self._formatter else ""
        record = logging.LogRecord(__name__, logging.ERROR, __file__, 0, message, (), info)
        clean = self._clean(record)
        if self._formatter is not None:
            print(self._formatter.format(clean), file=sys.stderr)  # noqa: T201
            return
        print(clean.exc_text or clean.getMessage(), file=sys.stderr)  # noqa: T201


def _remove(root: logging.Logger) -> None:
    for one in root.handlers[:]:
        if isinstance(one, _RootHandler):
            root.removeHandler(one)


class _RootHandler(logging.Handler):
    """Passes on the records of loggers that do not print themselves."""

    def __init__(self, target: ThreadedHandler) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        if not _prints_itself(logging.getLogger(record.name)):
            self._target.handle(record)


def _prints_itself(logger: logging.Logger | None) -> bool:
    while logger is not None and logger is not logging.root:
        if any(isinstance(one, logging.StreamHandler) for one in logger.handlers):
            return True
        logger = logger.parent
    return False


class _CleaningFilter(logging.Filter):
    """Makes each record of a logger clean, in place: its handlers may be anybody's."""

    def __init__(self, clean: Clean) -> None:
        super().__init__()
        self._clean = clean

    def filter(self, record: logging.LogRecord) -> bool:
        record.__dict__.update(self._clean(record).__dict__)
        return True


class _PassingFilter(logging.Filter):
    """Passes each record of a logger on, and keeps it from the logger's handlers."""

    def __init__(self, target: ThreadedHandler) -> None:
        super().__init__()
        self._target = target

    def filter(self, record: logging.LogRecord) -> bool:
        self._target.handle(record)
        return False
