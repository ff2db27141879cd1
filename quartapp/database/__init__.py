"""The database: one engine per application, one session per request.

`Database` is the extension: models, and an engine and a session for each application. A
`DatabaseEngine` is an engine with its sessions, which may be used alone. Both are a `Source`, as a
`Session` is: what functions with single statements take. This part knows no tables. What SQLite and
PostgreSQL need is in `drivers`, Alembic in `migrations`.
"""

from quartapp.database.engine import DatabaseEngine
from quartapp.database.extension import Database
from quartapp.database.pagination import Pagination
from quartapp.database.source import Session, Source

__all__ = ["Database", "DatabaseEngine", "Pagination", "Session", "Source"]
