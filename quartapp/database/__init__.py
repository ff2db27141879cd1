"""The database: one engine per application, one session per request.

`Database` owns the engine and creates sessions. `request_session()` is the session of the current
request; it connects at its first statement. This part knows no tables. What SQLite and PostgreSQL
need is in `drivers`.
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
