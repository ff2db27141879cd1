"""SQLAlchemy's dialects for SQLite and PostgreSQL as servers need them, and the pool for both.

`onehop` and `driver` are for SQLite through aiosqlite, `limited` is for PostgreSQL through asyncpg.
The engine names a dialect; SQLAlchemy imports it, because the one for PostgreSQL takes 60 ms.
"""

from contextvars import ContextVar

from sqlalchemy.dialects import registry

SQLITE = "sqlite+onehop"
"""The name of the dialect for SQLite in a database URL."""

POSTGRESQL = "postgresql+limited"
"""The name of the dialect for PostgreSQL in a database URL."""

repeats: ContextVar[bool] = ContextVar("repeats", default=False)
"""Whether what takes a connection now repeats, on another one, a statement that fails on it."""

registry.register("sqlite.onehop", f"{__name__}.onehop", "OneHopDialect")
registry.register("postgresql.limited", f"{__name__}.limited", "LimitedDialect")
