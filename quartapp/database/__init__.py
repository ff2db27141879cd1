"""The database: one engine per application, one session per request.

`Database` owns the engine and creates sessions. `request_session()` is the session of the current
request; it connects at its first statement. `request_source()` is for single statements, which need
no session. This part knows no tables. What SQLite and PostgreSQL
need is in `drivers`.
"""

from quartapp.database.engine import Database
from quartapp.database.request import (
    close_request_session,
    current_database,
    init_app,
    request_session,
    request_source,
    rollback_request_session,
)
from quartapp.database.source import Session, Source

__all__ = [
    "Database",
    "Session",
    "Source",
    "close_request_session",
    "current_database",
    "init_app",
    "request_session",
    "request_source",
    "rollback_request_session",
]
