"""The tables of errors: groups, what is counted of them, samples, mails, and what operators do.

A change of them needs a step in `upgrades`. Times that are compared with those of the alert policy
are seconds since the epoch (Float). Times that only people read are UTCDateTime.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp.database.types import NAMING_CONVENTION, Id, UTCDateTime
from quartapp.mail.outbox import OutboxRow
from quartapp.reporting.report import FINGERPRINT_LENGTH

TITLE_LENGTH = 200
MESSAGE_LENGTH = 500


class Base(DeclarativeBase):
    """The base of these tables. No other table is in their metadata."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


metadata = Base.metadata
"""What Alembic compares with the database, besides the metadata of the application."""


_IS_REGRESSED = text("regressed_at IS NOT NULL")


class ErrorGroup(Base):
    """All occurrences of one error."""

    __tablename__ = "error_groups"
    __table_args__ = (
        Index("ix_error_groups_regressed_at", "regressed_at", sqlite_where=_IS_REGRESSED),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(FINGERPRINT_LENGTH), unique=True)
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    culprit: Mapped[str] = mapped_column(String(TITLE_LENGTH), default="")
    level: Mapped[str] = mapped_column(String(20), default="ERROR")
    count: Mapped[int] = mapped_column(BigInteger)
    first_seen: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    last_seen: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    resolved_at: Mapped[float | None] = mapped_column(Float)
    muted_until: Mapped[float | None] = mapped_column(Float)
    muted_more: Mapped[int | None] = mapped_column(Integer)
    # What the alert policy remembers, and when it wants to be asked again.
    alert_state: Mapped[str | None] = mapped_column(Text)
    wake_at: Mapped[float | None] = mapped_column(Float, index=True)
    muted_rate: Mapped[int | None] = mapped_column(Integer)
    """With `muted_more`, which begins at the same number: a mute ends when there are more
    occurrences than this within an hour."""
    resolved_release: Mapped[str | None] = mapped_column(String(TITLE_LENGTH))
    """With `resolved_at`: fixed in the next release. Occurrences in this one, and in those that had
    been seen before it, are no regression."""
    regressed_at: Mapped[float | None] = mapped_column(Float)
    """When it came back after a resolution; None again with the next resolution."""
    # What operators see in a list and search; of the last full report.
    message: Mapped[str] = mapped_column(String(MESSAGE_LENGTH), default="", server_default="")
    route: Mapped[str] = mapped_column(String(TITLE_LENGTH), default="", server_default="")
    people: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """The number of its rows in `ErrorPerson`."""
    changed_at: Mapped[float] = mapped_column(Float, default=0.0, server_default="0", index=True)
    """When it was counted last, or an operator did something to it, by the clock of the database.
    Open pages ask for what is newer. It may be much later than `last_seen`, as after an outage."""
    revision: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """Raised with each row in `ErrorAct`. An operator names the one that was seen: of two who act
    at once, the second is shown what the first has done."""


@event.listens_for(ErrorGroup.__table__, "before_create")
def _index_partially(table: Table, connection: Connection, **_: object) -> None:
    """Give PostgreSQL the condition of the index: to name it above would import its dialect, which
    takes 9 ms of each start."""
    if connection.dialect.name == "postgresql":
        for index in table.indexes:
            if index.name == "ix_error_groups_regressed_at":
                index.dialect_kwargs["postgresql_where"] = _IS_REGRESSED


class ErrorSample(Base):
    """A full report of one occurrence; see `counting.samples` for which are kept."""

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


class ErrorHour(Base):
    """How often a group occurred in one hour, on all hosts; `hour` counts from the epoch.

    Kept for longer than the minutes.
    """

    __tablename__ = "error_hours"

    group_id: Mapped[int] = mapped_column(
        Id, ForeignKey("error_groups.id", ondelete="CASCADE"), primary_key=True
    )
    hour: Mapped[int] = mapped_column(Integer, primary_key=True, index=True)
    count: Mapped[int] = mapped_column(BigInteger)


class ErrorReference(Base):
    """To which group the reference of an occurrence leads: one row for each occurrence.

    `number` is the reference as a number, `seen_at` in seconds since the epoch. It has no further
    index and no foreign key, because there is one for each occurrence of a storm; the row of a
    deleted group leads nowhere.
    """

    __tablename__ = "error_references"

    number: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    group_id: Mapped[int] = mapped_column(Id)
    seen_at: Mapped[int] = mapped_column(Integer)

    def is_of(self, first_seen: datetime) -> bool:
        """Whether it is of the group with its id, which was first seen then.

        Otherwise it was of a group that is deleted, whose id SQLite has used again.
        """
        return first_seen.timestamp() < self.seen_at + 1


class ErrorPerson(Base):
    """A person whom an error has met; `person` is a hash of the user id. Bounded for each group."""

    __tablename__ = "error_people"

    group_id: Mapped[int] = mapped_column(
        Id, ForeignKey("error_groups.id", ondelete="CASCADE"), primary_key=True
    )
    person: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class ErrorTag(Base):
    """Where a group occurred: `name` is one of "release", "host" and "environment".

    Bounded for each group and name. Times are seconds since the epoch.
    """

    __tablename__ = "error_tags"
    __table_args__ = (Index("ix_error_tags_name_value", "name", "value"),)

    group_id: Mapped[int] = mapped_column(
        Id, ForeignKey("error_groups.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[str] = mapped_column(String(TITLE_LENGTH), primary_key=True)
    first_seen: Mapped[float] = mapped_column(Float)
    last_seen: Mapped[float] = mapped_column(Float)


class ErrorTraffic(Base):
    """The responses of one minute on one host, and how many of them had a status of 5xx."""

    __tablename__ = "error_traffic"

    minute: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    host: Mapped[str] = mapped_column(String(64), primary_key=True)
    responses: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(BigInteger)


class ActKind(StrEnum):
    """What was done to a group: by an operator, or (the last ones) by what was counted."""

    RESOLVE = "resolve"
    RESOLVE_NEXT = "resolve_next"
    REOPEN = "reopen"
    MUTE = "mute"
    COMMENT = "comment"
    DELETE = "delete"
    """Never stored: with a group, its rows are deleted."""
    REGRESSED = "regressed"
    UNMUTED = "unmuted"
    REGROUPED = "regrouped"


class ErrorAct(Base):
    """What an operator did to a group, or wrote about it. Rows are never changed.

    `kind` is an `ActKind`; `who` names the operator, and is "" for what was only counted. `text` is
    the comment, or for how long it is muted, or the release.
    """

    __tablename__ = "error_acts"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    group_id: Mapped[int] = mapped_column(
        Id, ForeignKey("error_groups.id", ondelete="CASCADE"), index=True
    )
    at: Mapped[float] = mapped_column(Float)
    who: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    kind: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text, default="")


class ErrorFeedback(Base):
    """What a person wrote about an error on its page; joined by the reference.

    `group_id` is None until the occurrence is counted, or if nobody knows the reference.
    """

    __tablename__ = "error_feedback"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    group_id: Mapped[int | None] = mapped_column(
        Id, ForeignKey("error_groups.id", ondelete="CASCADE"), index=True
    )
    reference: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[float] = mapped_column(Float)
    who: Mapped[str] = mapped_column(String(TITLE_LENGTH), default="")
    text: Mapped[str] = mapped_column(Text)


class ErrorRelease(Base):
    """A release that was deployed at a time."""

    __tablename__ = "error_releases"

    name: Mapped[str] = mapped_column(String(TITLE_LENGTH), primary_key=True)
    at: Mapped[float] = mapped_column(Float, index=True)
    who: Mapped[str] = mapped_column(String(TITLE_LENGTH), default="")


MERGED = "merged"
"""The state of an alert that another message of its group reports too."""


class AlertRow(OutboxRow):
    """The columns of an alert that waits for its message.

    `in_digest`: it is sent, or was, in one message with others.
    """

    group_id: Mapped[int] = mapped_column(
        Id, ForeignKey("error_groups.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str] = mapped_column(String(20))
    ordinal: Mapped[int] = mapped_column(BigInteger)
    episode: Mapped[int] = mapped_column(Integer)
    count: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[float] = mapped_column(Float)
    in_digest: Mapped[bool] = mapped_column(default=False)


class ErrorAlert(AlertRow, Base):
    """A mail to the operators. Unique, so that many workers make one mail."""

    __tablename__ = "error_alerts"
    __table_args__ = (
        UniqueConstraint("group_id", "kind", "ordinal", "episode"),
        Index("ix_error_alerts_state_due_at", "state", "due_at"),
    )


class ErrorWebhook(AlertRow, Base):
    """A message to ERRORS_WEBHOOK_URL. Unique as `ErrorAlert`."""

    __tablename__ = "error_webhooks"
    __table_args__ = (
        UniqueConstraint("group_id", "kind", "ordinal", "episode"),
        Index("ix_error_webhooks_state_due_at", "state", "due_at"),
    )


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
