"""The tables that units of work use: the column types of the microblog, and some others."""

import enum
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Enum,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp.database.types import NAMING_CONVENTION, Id, UTCDateTime

DEFAULT_TIME = datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC)


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


def default_time() -> datetime:
    return DEFAULT_TIME


class Person(Base):
    __tablename__ = "people"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    email: Mapped[str | None] = mapped_column(String(120), unique=True)
    about: Mapped[str] = mapped_column(String, default="")
    joined: Mapped[datetime] = mapped_column(UTCDateTime, default=default_time)
    seen: Mapped[datetime | None] = mapped_column(UTCDateTime)
    is_admin: Mapped[bool] = mapped_column(Boolean, default=False)
    epoch: Mapped[int] = mapped_column(Integer, default=0)


people: Any = Person.__table__

notes = Table(
    "notes",
    Base.metadata,
    Column("id", Id, primary_key=True),
    Column("body", String),
    Column("at", UTCDateTime, default=default_time),
    Column("person_id", Id, ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("digest", String(32)),
    Column("revision", Integer, default=1, onupdate=7),
    Index("ix_notes_person_id_id", "person_id", "id"),
    UniqueConstraint("person_id", "digest"),
)

follows = Table(
    "follows",
    Base.metadata,
    Column("follower_id", Id, ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    Column("followed_id", Id, ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
)

things = Table(
    "things",
    Base.metadata,
    Column("id", Id, primary_key=True),
    Column("colour", Enum(Colour, name="colour")),
    Column("raw", LargeBinary),
    Column("ratio", Float),
    Column("price", Numeric(10, 2), default=Decimal("1.50")),
    Column("day", Date),
    Column("extra", JSON),
    Column("kind", String, server_default="plain"),
)

counters = Table(
    "counters",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("total", Id, default=0),
)

TABLES: tuple[Any, ...] = (people, notes, follows, things, counters)
"""In the order in which rows can be inserted."""
