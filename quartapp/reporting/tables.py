"""The tables of errors: groups, their counts per minute, samples and mails.

Times that are compared with those of the alert policy are seconds since the epoch (Float). Times
that only people read are UTCDateTime.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp.database.types import NAMING_CONVENTION, Id, UTCDateTime
from quartapp.mail.outbox import OutboxRow

FINGERPRINT_LENGTH = 40
TITLE_LENGTH = 200


class Base(DeclarativeBase):
    """The base of these tables. No other table is in their metadata."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


metadata = Base.metadata
"""What Alembic compares with the database, besides the metadata of the application."""


class ErrorGroup(Base):
    """All occurrences of one error."""

    __tablename__ = "error_groups"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(FINGERPRINT_LENGTH), unique=True)
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    culprit: Mapped[str] = mapped_column(String(TITLE_LENGTH), default="")
    level: Mapped[str] = mapped_column(String(20), default="ERROR")
    count: Mapped[int] = mapped_column(BigInteger)
    first_seen: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    resolved_at: Mapped[float | None] = mapped_column(Float)
    muted_until: Mapped[float | None] = mapped_column(Float)
    muted_more: Mapped[int | None] = mapped_column(Integer)
    # What the alert policy remembers, and when it wants to be asked again.
    alert_state: Mapped[str | None] = mapped_column(Text)
    wake_at: Mapped[float | None] = mapped_column(Float, index=True)

    @property
    def state(self) -> str:
        """One of "open", "resolved" and "muted"."""
        if self.resolved_at is not None:
            return "resolved"
        return "muted" if self.muted_until is not None or self.muted_more is not None else "open"


class ErrorSample(Base):
    """A full report of one occurrence; of each group the first and the last ten are kept."""

    __tablename__ = "error_samples"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    group_id: Mapped[int] = mapped_column(
        Id, ForeignKey("error_groups.id", ondelete="CASCADE"), index=True
    )
    report_id: Mapped[str] = mapped_column(String(64), unique=True)
    reference: Mapped[str] = mapped_column(String(64), index=True)
    release: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    host: Mapped[str] = mapped_column(String(64))
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    report: Mapped[str] = mapped_column(Text)


class ErrorMinute(Base):
    """How often a group occurred in one minute on one host; `minute` counts from the epoch."""

    __tablename__ = "error_minutes"

    group_id: Mapped[int] = mapped_column(
        Id, ForeignKey("error_groups.id", ondelete="CASCADE"), primary_key=True
    )
    minute: Mapped[int] = mapped_column(Integer, primary_key=True, index=True)
    host: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


MERGED = "merged"
"""The state of an alert that another mail of its group reports too."""


class ErrorAlert(OutboxRow, Base):
    """A mail to the operators. Unique, so that many workers make one mail.

    `in_digest`: it is sent, or was, in one mail with others.
    """

    __tablename__ = "error_alerts"
    __table_args__ = (
        UniqueConstraint("group_id", "kind", "ordinal", "episode"),
        Index("ix_error_alerts_state_due_at", "state", "due_at"),
    )

    group_id: Mapped[int] = mapped_column(
        Id, ForeignKey("error_groups.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str] = mapped_column(String(20))
    ordinal: Mapped[int] = mapped_column(BigInteger)
    episode: Mapped[int] = mapped_column(Integer)
    count: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[float] = mapped_column(Float)
    in_digest: Mapped[bool] = mapped_column(default=False)


class ErrorSegment(Base):
    """How far a segment of the journal is counted. A row outlives its file: see `prune`.

    `finished`: it is counted to its end, and no process writes it any more. The row of a segment
    that is still written is never deleted, however long ago its last error was.
    """

    __tablename__ = "error_segments"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    host: Mapped[str] = mapped_column(String(64))
    position: Mapped[int] = mapped_column(BigInteger)
    corrupt: Mapped[int] = mapped_column(Integer, default=0)
    updated_at: Mapped[float] = mapped_column(Float)
    finished: Mapped[bool] = mapped_column(default=False, server_default=false())
