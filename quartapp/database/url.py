"""Addresses of databases, in the forms that hosting providers and documentation use."""

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

POOLER = "pooler"
"""The option of an address by which DATABASE_POOLER gets to all who are given the address."""

_ESCAPE = (
    "expected postgresql://user:password@host/name, in which the characters @ : / ? of a password"
    " are written as %40 %3A %2F %3F"
)


def async_url(value: str | URL) -> URL:
    """A database address with its async driver. Raises ValueError for anything else."""
    try:
        url = make_url(value)
    except ArgumentError:
        raise ValueError(
            "expected an address like sqlite:///quartapp.db or postgresql://user@host/name"
        ) from None
    except ValueError:  # the port is not a number
        raise ValueError(_ESCAPE) from None
    if "@" in f"{url.host}{url.database}" and url.get_backend_name() != "sqlite":
        raise ValueError(_ESCAPE)
    if url.get_backend_name() == "sqlite":
        if url.host:
            raise ValueError("expected three slashes before the file: sqlite:///shop.db")
        return url.set(drivername="sqlite+aiosqlite")
    if url.drivername in {"postgres", "postgresql", "postgresql+asyncpg"}:
        query = dict(url.query)
        if "sslmode" in query:  # hosting providers use this name; asyncpg calls it ssl
            query["ssl"] = query.pop("sslmode")
        url = url.set(drivername="postgresql+asyncpg", query=query)
        without_pooler(url)
        return url
    raise ValueError("expected a SQLite or PostgreSQL address (sqlite:///, postgresql://)")


def through_pooler(url: URL) -> URL:
    """The address of PostgreSQL with `?pooler=true`: that of a pooler in transaction mode."""
    if url.get_backend_name() == "sqlite" or POOLER in url.query:
        return url
    return url.update_query_dict({POOLER: "true"})


def without_pooler(url: URL) -> tuple[URL, bool]:
    """The address without that option, and whether it had it. Raises ValueError."""
    value = url.query.get(POOLER, "false")
    if value not in {"true", "false"}:
        raise ValueError(f"expected {POOLER}=true or {POOLER}=false in the address")
    return url.difference_update_query([POOLER]), value == "true"


def in_folder(url: URL, folder: Path) -> URL:
    """The address with a relative file of SQLite in that folder."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:":
        return url
    return url if name.startswith("file:") else url.set(database=str(folder / name))
