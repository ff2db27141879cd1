"""What an application executes, in sessions and without."""

import re

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App


def note_statements(app: App, tables: str) -> list[str]:
    """A list that gets the SQL of each statement on these tables.

    `tables` is a regular expression, because tasks of the application execute statements too.
    """
    database: DatabaseEngine = app.extensions["database"]
    sent: list[str] = []

    def note(sql: str, *_: float) -> None:
        if re.search(rf"\b({tables})\b", sql):
            sent.append(sql)

    database.observe(note)
    return sent
