"""The declarative base, and the current time."""

from datetime import UTC, datetime

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from quartapp.database.types import NAMING_CONVENTION


def clock() -> datetime:
    """The source of `utc_now`, which tests replace."""
    return datetime.now(UTC)


def utc_now() -> datetime:
    """The current time, timezone-aware and in UTC."""
    return clock()


class Base(DeclarativeBase):
    """The tables of the microblog. Those of reporting have their own metadata."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
