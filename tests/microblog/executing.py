"""What an application executes: by itself on its database, and in sessions."""

import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from sqlalchemy import event

from quartapp.database import Database
from quartapp.flasklike import App

COMMIT = "COMMIT"

_is_single: ContextVar[bool] = ContextVar("is_single", default=False)


def note_statements(app: App, tables: str) -> list[str]:
    """A list that gets the text of each statement on these tables, and COMMIT after a session's.

    `tables` is a regular expression, because tasks of the application execute statements too. The
    engine does not see what a database executes on the driver.
    """
    database: Database = app.extensions["database"]
    sent: list[str] = []

    used: set[Any] = set()

    def note(text: str) -> bool:
        is_meant = re.search(rf"\b({tables})\b", text) is not None
        if is_meant:
            sent.append(text)
        return is_meant

    def of_session(connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if not _is_single.get() and note(text):
            used.add(connection)

    def commit(connection: Any) -> None:
        if connection in used:
            used.remove(connection)
            sent.append(COMMIT)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", of_session)
    event.listen(engine, "commit", commit)
    for name in ("read", "write", "write_all"):
        setattr(database, name, _noting(getattr(database, name), note))
    return sent


def _noting(method: Callable[..., Awaitable[Any]], note: Callable[[str], bool]) -> Any:
    async def noting(*steps: Any, **values: Any) -> Any:
        if _is_single.get():  # one method of the database calls another
            return await method(*steps, **values)
        for step in steps:
            note(str(step[0] if isinstance(step, tuple) else step))
        token = _is_single.set(True)
        try:
            return await method(*steps, **values)
        finally:
            _is_single.reset(token)

    return noting
