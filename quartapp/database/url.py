"""Addresses of databases, in the forms that hosting providers and documentation use."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


def async_url(value: str) -> URL:
    """A database address with its async driver. Raises ValueError for anything else."""
    try:
        url = make_url(value)
    except ArgumentError:
        raise ValueError(
            "expected an address like sqlite:///quartapp.db or postgresql://user@host/name"
        ) from None
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    if url.drivername in {"postgres", "postgresql", "postgresql+asyncpg"}:
        query = dict(url.query)
        if "sslmode" in query:  # hosting providers use this name; asyncpg calls it ssl
            query["ssl"] = query.pop("sslmode")
        return url.set(drivername="postgresql+asyncpg", query=query)
    raise ValueError("expected a SQLite or PostgreSQL address (sqlite:///, postgresql://)")
