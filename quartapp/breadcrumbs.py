"""What a request did before it failed: its log lines and SQL statements, with their times.

`begin` and `collecting` give a request a ring of the last entries. It is found by a context
variable, so the request's tasks and threads write into the same ring, and other requests do not.
Nothing is collected, and nothing is installed, before the first call of `install`.

An entry keeps what it needs without running foreign code; text is made, and secrets are removed,
when the entries are read (`Breadcrumbs.entries`). Of quartapp only `redact` is imported, and only
then, or for a line with named arguments: the debugger must be able to show an error in it.
"""

import logging
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, Token
from time import monotonic
from typing import Any, Literal, NamedTuple

MAX_ENTRIES = 100
MAX_TEXT = 500
"""Characters of an entry that are shown."""

_KEPT = 2000
"""Characters of an entry that are kept: a secret that begins within MAX_TEXT is found whole."""

_PLAIN = frozenset((str, int, float, bool, type(None)))

_current: ContextVar["Breadcrumbs | None"] = ContextVar("quartapp_breadcrumbs", default=None)


class Breadcrumb(NamedTuple):
    """A log line or a statement, as it is shown.

    `seconds` is the time since the request began at which the line was logged or the statement
    ended. `took` is the duration of a statement in seconds, and `rows` the number of its rows, if
    it is known.
    """

    kind: Literal["log", "sql"]
    seconds: float
    text: str
    level: str = ""
    logger: str = ""
    took: float = 0.0
    rows: int | None = None


class Breadcrumbs:
    """The ring of one request: its last MAX_ENTRIES log lines and statements.

    Threads of the request may add entries at the same time.
    """

    __slots__ = ("_began", "_entries", "_total")

    def __init__(self) -> None:
        self._began = monotonic()
        self._entries: deque[tuple[Any, ...]] = deque(maxlen=MAX_ENTRIES)
        self._total = 0

    @property
    def omitted(self) -> int:
        """The number of entries that newer ones have replaced."""
        return max(0, self._total - MAX_ENTRIES)

    def frozen(self) -> "Breadcrumbs":
        """A copy, to which the request's tasks add nothing more."""
        copy = Breadcrumbs()
        copy._began, copy._entries = self._began, self._entries.copy()
        copy._total = self._total
        return copy

    def entries(self, secrets: Iterable[str] = ()) -> list[Breadcrumb]:
        """The entries, the oldest first, without `secrets` and what looks like one."""
        from quartapp.redact.scrub import Scrubber, cut

        entries = self.raw(MAX_ENTRIES)
        texts = Scrubber().clean([entry.text for entry in entries], secrets=secrets)
        return [
            entry._replace(text=cut(text, MAX_TEXT))
            for entry, text in zip(entries, texts, strict=True)
        ]

    def raw(self, most: int) -> list[Breadcrumb]:
        """The last entries with all secrets, each text as long as it was kept."""
        return [self._entry(entry, _text(entry)) for entry in list(self._entries)[-most:]]

    def _entry(self, entry: tuple[Any, ...], text: str) -> Breadcrumb:
        seconds = entry[1] - self._began
        if entry[0] == "sql":
            took, rows = entry[3:]
            return Breadcrumb("sql", seconds, text, took=took, rows=rows if rows >= 0 else None)
        logger, level = entry[4:]
        return Breadcrumb("log", seconds, text, logging.getLevelName(level), logger)

    def add_record(self, record: logging.LogRecord) -> None:
        """Add a log record. Of arguments that are not plain only their text is kept."""
        message, arguments = record.msg, record.args
        if type(arguments) is dict:
            arguments = _without_secrets(arguments)
        if type(message) is not str or len(message) > _KEPT or not _are_plain(arguments):
            message, arguments = _message_of(_record(message, arguments))[:_KEPT], ()
        self._total += 1
        self._entries.append(("log", monotonic(), message, arguments, record.name, record.levelno))

    def add_statement(self, sql: str, seconds: float, rows: int) -> None:
        """Add a statement, without its values; `rows` is -1 if it is not known."""
        self._total += 1
        self._entries.append(("sql", monotonic(), sql[:_KEPT], seconds, rows))


def begin() -> Token["Breadcrumbs | None"] | None:
    """Collect what this context, its tasks and its threads log and execute until `end`.

    Returns what `end` takes: None if there is a ring already, which is then used.
    """
    return _current.set(Breadcrumbs()) if _current.get() is None else None


def end(token: Token["Breadcrumbs | None"] | None) -> None:
    """Undo `begin`."""
    if token is not None:
        _current.reset(token)


@contextmanager
def collecting() -> Iterator[Breadcrumbs]:
    """Collect what the code in this block, its tasks and its threads log and execute."""
    breadcrumbs = Breadcrumbs()
    token = _current.set(breadcrumbs)
    try:
        yield breadcrumbs
    finally:
        _current.reset(token)


def breadcrumbs(context: Context | None = None) -> Breadcrumbs | None:
    """The ring of the current request, or of the one in a copied context; None outside of one."""
    return context.get(_current) if context is not None else _current.get()


def add_statement(sql: str, seconds: float, rows: int) -> None:
    """Add a statement to the current request's ring; see `DatabaseEngine.observe`."""
    if (current := _current.get()) is not None:
        current.add_statement(sql, seconds, rows)


def install() -> None:
    """Collect log lines of all loggers, and statements of all SQLAlchemy engines, from now on.

    Records are taken where they are made, after a logger has checked the level: a handler would
    change what `logging.basicConfig` and Quart's own default do, and would not get the records of
    loggers that do not propagate. Call it after the application is imported, as SQLAlchemy is not
    imported for this. A second call does nothing.
    """
    if _uninstall:
        return
    make_record = logging.getLogRecordFactory()

    def make_and_collect(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        # Without a name: logging.makeLogRecord, for a record of another process.
        if _uninstall and (current := _current.get()) is not None and record.name:
            current.add_record(record)
        return record

    def restore() -> None:
        # Another library may have wrapped this one, which then only passes records on.
        if logging.getLogRecordFactory() is make_and_collect:
            logging.setLogRecordFactory(make_record)

    logging.setLogRecordFactory(make_and_collect)
    _uninstall.append(restore)
    if "sqlalchemy" in sys.modules:
        _uninstall.append(_listen_to_engines())


def uninstall() -> None:
    """Undo `install`."""
    while _uninstall:
        _uninstall.pop()()


_uninstall: list[Callable[[], None]] = []


def _listen_to_engines() -> Callable[[], None]:
    from sqlalchemy import Engine, event

    def before(*given: Any) -> None:
        if _current.get() is not None:
            given[4].breadcrumbs_began = monotonic()

    def after(_: Any, cursor: Any, sql: str, __: Any, context: Any, ___: Any) -> None:
        began = getattr(context, "breadcrumbs_began", None)
        # A DatabaseEngine that is observed adds its statements itself, by `add_statement`.
        if began is not None and not hasattr(context, "quartapp_began"):
            add_statement(sql, monotonic() - began, cursor.rowcount)

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)

    def stop() -> None:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)

    return stop


def _are_plain(arguments: Any) -> bool:
    if not arguments:
        return True
    values = arguments.values() if type(arguments) is dict else arguments
    return all(
        type(value) in _PLAIN and (type(value) is not str or len(value) <= _KEPT)
        for value in values
    )


def _without_secrets(arguments: dict[Any, Any]) -> dict[Any, Any]:
    """Named arguments, without what their names say is secret: the text does not tell it."""
    from quartapp.redact.secret_names import HIDDEN, hides

    return {
        name: HIDDEN if type(name) is str and hides(name) else value
        for name, value in arguments.items()
    }


def _text(entry: tuple[Any, ...]) -> str:
    if entry[0] == "sql":
        return " ".join(entry[2].split())
    message, arguments = entry[2:4]
    return _message_of(_record(message, arguments))[:_KEPT] if arguments else message


def _record(message: Any, arguments: Any) -> logging.LogRecord:
    record = logging.LogRecord("", 0, "", 0, message, (), None)
    record.args = arguments
    return record


def _message_of(record: logging.LogRecord) -> str:
    """The message, without the values of arguments that have the name of a secret."""
    from quartapp.redact.collect import SecretCollector
    from quartapp.redact.messages import message_of_record
    from quartapp.redact.scrub import Scrubber

    text = message_of_record(record)
    if type(record.args) is not dict:
        return text
    collector = SecretCollector()
    collector.record(record)
    return Scrubber().clean([text], secrets=collector.secrets)[0]
