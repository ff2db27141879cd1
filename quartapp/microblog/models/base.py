"""The declarative base, and the present moment."""

from datetime import UTC, datetime

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from quartapp.database.types import NAMING_CONVENTION


def clock() -> datetime:
    """Where `utc_now` takes the time from; tests put a clock of their own here."""
    return datetime.now(UTC)


def utc_now() -> datetime:
    """The present moment, aware and in UTC."""
    return clock()


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
