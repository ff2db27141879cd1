"""The database: one engine an application, one session a request.

`Database` owns the engine and makes sessions; `request_session()` is the session of the current
request, opened lazily at its first statement. Knows nothing of tables; SQLite's peculiarities
are in `sqlite`.
"""

from quartapp.database.engine import Database
from quartapp.database.request import (
    close_request_session,
    current_database,
    init_app,
    reading_first,
    request_session,
    rollback_request_session,
)

__all__ = [
    "Database",
    "close_request_session",
    "current_database",
    "init_app",
    "reading_first",
    "request_session",
    "rollback_request_session",
]
