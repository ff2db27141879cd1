"""How many statements a block of a test executes, and which.

Counted are those of any SQLAlchemy engine, and the ones that a `DatabaseEngine` executes without
SQLAlchemy. Only those of the block: what other tasks of the application execute meanwhile, as the
reporting does each second, is not its.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from sqlalchemy import Engine, event

from quartapp.database import DatabaseEngine

_statements: ContextVar[list[str] | None] = ContextVar("quartapp_statements", default=None)
_observed: "WeakSet[Any]" = WeakSet()


@contextmanager
def max_queries(most: int, application: Any = None) -> Iterator[list[str]]:
    """Fail if the block executes more than `most` SQL statements; the message has them all.

    Gives the list of statements, which grows. `application`: one with a `DatabaseEngine`, whose
    statements without a session are counted too. A block within another one is counted by both.
    """
    _listen(application)
    statements: list[str] = []
    outer = _statements.get()
    before = _statements.set(statements)
    try:
        yield statements
    finally:
        _statements.reset(before)
        if outer is not None:
            outer += statements
    if len(statements) > most:
        raise AssertionError(_message(statements, most))


def _listen(application: Any) -> None:
    if not event.contains(Engine, "before_cursor_execute", _note):
        event.listen(Engine, "before_cursor_execute", _note)
    database: Any = getattr(application, "extensions", {}).get("database")
    if not isinstance(database, DatabaseEngine):
        return
    if database.engine.sync_engine not in _observed:
        _observed.add(database.engine.sync_engine)
        database.observe(lambda sql, _seconds, _rows: _add(sql))


def _note(connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
    if connection.engine not in _observed and connection.engine.pool not in _pools():
        _add(sql)


def _pools() -> set[Any]:
    """Those of the observed engines: an engine with execution options is another one."""
    return {engine.pool for engine in _observed}


def _add(sql: str) -> None:
    statements = _statements.get()
    if statements is not None:
        statements.append(sql)


def _message(statements: list[str], most: int) -> str:
    lines = [f"{len(statements)} statements were executed, at most {most} were expected:"]
    for sql, times in Counter(statements).items():
        lines.append(f"{times} x " + " ".join(sql.split()))
    if any(times > 2 for times in Counter(statements).values()):
        lines.append("A statement that is executed for each row could be one with IN or a join.")
    return "\n  ".join(lines)
