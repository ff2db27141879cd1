"""What the operators know of errors: groups, counted by the minute, with samples and mails.

Times that are compared with the alert policy's are seconds since the epoch (Float); the two that
people read are moments.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    CursorResult,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    delete,
    false,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from quartapp.microblog.exceptions import NotFoundError
from quartapp.microblog.models.base import Base, Id, UTCDateTime

FINGERPRINT_LENGTH = 40
TITLE_LENGTH = 200


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
    """A full report of one occurrence: of each group the first and the last ten."""

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


class ErrorAlert(Base):
    """A mail to the operators: the outbox. Unique, so that many workers make one mail.

    `state` is "waiting", "sent", "merged" (another mail of its group told it too) or "aside" (it
    cannot be sent, see `error`).
    """

    __tablename__ = "error_alerts"
    __table_args__ = (
        UniqueConstraint("group_id", "kind", "ordinal", "episode"),
        Index("ix_error_alerts_state_due_at", "state", "due_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    group_id: Mapped[int] = mapped_column(
        Id, ForeignKey("error_groups.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str] = mapped_column(String(20))
    ordinal: Mapped[int] = mapped_column(BigInteger)
    episode: Mapped[int] = mapped_column(Integer)
    count: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[float] = mapped_column(Float)
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    created_at: Mapped[float] = mapped_column(Float)
    due_at: Mapped[float] = mapped_column(Float)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    leased_until: Mapped[float] = mapped_column(Float, default=0.0)
    sent_at: Mapped[float | None] = mapped_column(Float, index=True)
    in_digest: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str] = mapped_column(String(500), default="")


class ErrorSegment(Base):
    """How far a segment of the journal is counted. A row outlives its file: see `prune`.

    `finished`: counted to its end, which nobody writes any more. The row of a segment that is still
    written is kept for ever, however long ago its last error was.
    """

    __tablename__ = "error_segments"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    host: Mapped[str] = mapped_column(String(64))
    position: Mapped[int] = mapped_column(BigInteger)
    corrupt: Mapped[int] = mapped_column(Integer, default=0)
    updated_at: Mapped[float] = mapped_column(Float)
    finished: Mapped[bool] = mapped_column(default=False, server_default=false())


async def list_groups(
    session: AsyncSession, *, state: str = "", limit: int = 50, offset: int = 0
) -> Sequence[ErrorGroup]:
    """Groups, the one that occurred last first; with `state`, only those in it."""
    query = select(ErrorGroup).order_by(ErrorGroup.last_seen.desc(), ErrorGroup.id.desc())
    if state:
        query = query.where(_IN_STATE[state])
    return (await session.scalars(query.limit(limit).offset(offset))).all()


async def find_group(session: AsyncSession, key: int | str) -> ErrorGroup:
    """A group by its id, or by the beginning of its fingerprint. Raises NotFoundError."""
    query = select(ErrorGroup).order_by(ErrorGroup.id.desc()).limit(1)
    if isinstance(key, int):
        query = query.where(ErrorGroup.id == key)
    else:
        query = query.where(ErrorGroup.fingerprint.startswith(key, autoescape=True))
    group = (await session.scalars(query)).one_or_none()
    if group is None:
        raise NotFoundError("There is no such error.")
    return group


async def find_by_reference(session: AsyncSession, reference: str) -> ErrorGroup:
    """The group of the error that a client was told this reference of. Raises NotFoundError."""
    sample = ErrorSample.reference == reference
    query = select(ErrorGroup).join(ErrorSample).where(sample).limit(1)
    group = (await session.scalars(query)).one_or_none()
    if group is None:
        raise NotFoundError("There is no such error.")
    return group


async def list_samples(session: AsyncSession, group_id: int) -> Sequence[ErrorSample]:
    """The samples of a group, the newest first."""
    query = select(ErrorSample).where(ErrorSample.group_id == group_id)
    return (await session.scalars(query.order_by(ErrorSample.id.desc()))).all()


async def resolve(session: AsyncSession, group_id: int, now: float) -> None:
    """Call an error mended, and commit: its next occurrence is a regression."""
    await _stand(session, group_id, resolved_at=now, muted_until=None, muted_more=None)


async def mute(
    session: AsyncSession, group_id: int, *, until: float = float("inf"), more: int | None = None
) -> None:
    """Tell nobody of an error, and commit: until a time, and for `more` occurrences at most."""
    await _stand(session, group_id, resolved_at=None, muted_until=until, muted_more=more)


async def reopen(session: AsyncSession, group_id: int) -> None:
    """Neither resolved nor muted any more; and commit."""
    await _stand(session, group_id, resolved_at=None, muted_until=None, muted_more=None)


async def _stand(session: AsyncSession, group_id: int, **values: float | int | None) -> None:
    await session.execute(update(ErrorGroup).where(ErrorGroup.id == group_id).values(**values))
    await session.commit()


async def prune(session: AsyncSession, before: datetime) -> int:
    """Forget groups that last occurred before a moment, with all that belongs to them, and commit.

    Minutes before it go too, and so does what is remembered of segments whose file is long gone.
    Returns the number of groups.
    """
    seconds = before.timestamp()
    await session.execute(delete(ErrorMinute).where(ErrorMinute.minute < seconds // 60))
    await session.execute(
        delete(ErrorSegment).where(
            ErrorSegment.finished, ErrorSegment.updated_at < seconds - _A_WEEK
        )
    )
    gone = await session.execute(delete(ErrorGroup).where(ErrorGroup.last_seen < before))
    await session.commit()
    return cast("CursorResult[Any]", gone).rowcount


_A_WEEK = 7 * 86400.0
_IS_MUTED = ErrorGroup.muted_until.is_not(None) | ErrorGroup.muted_more.is_not(None)
_IN_STATE = {
    "open": ErrorGroup.resolved_at.is_(None) & ~_IS_MUTED,
    "resolved": ErrorGroup.resolved_at.is_not(None),
    "muted": ErrorGroup.resolved_at.is_(None) & _IS_MUTED,
}
