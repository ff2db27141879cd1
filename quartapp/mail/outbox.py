"""The outbox: a table in which mails wait until a mail server has accepted them.

A table is an outbox if its class inherits `OutboxRow`. Every function works inside the caller's
transaction. A mail is leased to one mailer at a time. If that mailer is killed, its lease runs out,
and the next one sends the mail again: at least once, and never twice by two mailers at a time.

Other messages wait alike, such as those to a webhook: what is said of mails is true of them.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, Float, Index, Integer, String, case, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from quartapp.database.dialect import database_now, is_sqlite
from quartapp.database.types import Id
from quartapp.mail.delivery import Outcome

WAITING = "waiting"
SENT = "sent"
DEAD = "aside"
"""The mail server rejected this mail repeatedly: a person has to look at it. Existing databases
hold this value."""

LEASE = 300.0
"""Seconds for which a mail is leased to one mailer; longer than a batch can take."""

_AT_ONCE = 1000
_ERROR = 500
_LOCK = 0x71756172  # the key of PostgreSQL's advisory lock
_BACKOFF = (60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0)
_REJECTIONS = 3


class OutboxRow:
    """The columns of an outbox; the class of a table inherits them besides its declarative base.

    `state` is WAITING, SENT, DEAD, or another word that the table uses for what will not be sent.
    Times are seconds since the epoch by the clock of the database. `error` is why the last try
    failed, or which recipients of a sent mail were refused.
    """

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    state: Mapped[str] = mapped_column(String(10), default=WAITING)
    created_at: Mapped[float] = mapped_column(Float)
    due_at: Mapped[float] = mapped_column(Float)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    leased_until: Mapped[float] = mapped_column(Float, default=0.0)
    sent_at: Mapped[float | None] = mapped_column(Float, index=True)
    error: Mapped[str] = mapped_column(String(_ERROR), default="")

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[object, ...]:
        return (Index(None, "state", "due_at"),)


Row = TypeVar("Row", bound=OutboxRow)
Message = TypeVar("Message")


@dataclass(frozen=True, slots=True)
class Outgoing(Generic[Message]):
    """A leased message. `ids` are the rows that it covers; `build` is called in a thread.

    `build` must give the same id (the Message-ID of a mail) for the same rows, so that a second
    copy can be recognised, and must not need the database.
    """

    ids: tuple[int, ...]
    build: Callable[[], Message]


async def is_any_due(session: AsyncSession, table: type[OutboxRow], now: float) -> bool:
    """Whether a mail may be due: a cheap query, without a lock."""
    query = select(table.id).where(table.state == WAITING, _is_due(table, now))
    return await session.scalar(query.limit(1)) is not None


@dataclass(frozen=True, slots=True)
class Backlog:
    """The mails that are not sent: those that wait, the seconds since the oldest of them was
    queued, those of them that failed at least once, and those that were given up."""

    waiting: int
    age: float
    failing: int
    dead: int


async def backlog(session: AsyncSession, table: type[OutboxRow]) -> Backlog:
    """What waits in an outbox now."""
    now = await database_now(session)
    failing = func.sum(case((table.tries > 0, 1), else_=0))
    rows = await session.execute(
        select(table.state, func.count(), func.min(table.created_at), failing)
        .where(table.state.in_([WAITING, DEAD]))
        .group_by(table.state)
    )
    found = {state: (number, oldest, failed) for state, number, oldest, failed in rows}
    waiting, oldest, failed = found.get(WAITING, (0, now, 0))
    return Backlog(waiting, max(0.0, now - oldest), int(failed), found.get(DEAD, (0,))[0])


async def select_due(session: AsyncSession, table: type[Row], now: float) -> Sequence[Row]:
    """What is due and not leased, oldest first, at most 1000 rows.

    Until the transaction ends, other mailers wait here.
    """
    if not is_sqlite(session):  # SQLite's write lock does the same
        await session.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    query = select(table).where(table.state == WAITING, _is_due(table, now), ~is_leased(table, now))
    return (await session.scalars(query.order_by(table.id).limit(_AT_ONCE))).all()


def lease(rows: Sequence[OutboxRow], now: float) -> None:
    """Keep other mailers away from these rows until their outcomes are recorded."""
    for row in rows:
        row.leased_until = now + LEASE


def _is_due(table: type[OutboxRow], now: float) -> ColumnElement[bool]:
    """Due now, or later than the longest wait allows: then the clock was set back."""
    return (table.due_at <= now) | (table.due_at > now + 2 * _BACKOFF[-1])


def is_leased(table: type[OutboxRow], now: float) -> ColumnElement[bool]:
    """Whether a mailer is sending a row now."""
    # Not forever if the clock was set back. Twice the length, because the lease of another mailer
    # that read the clock later than we did ends later than one from `now`.
    return (table.leased_until > now) & (table.leased_until <= now + 2 * LEASE)


async def record_outcomes(
    session: AsyncSession,
    table: type[OutboxRow],
    outcomes: Sequence[tuple[int, Outcome]],
    now: float,
) -> None:
    """Record the outcomes of leased rows, by their ids, and end the leases.

    What failed is due again later, and is never dropped. Only a mail that the server rejected as
    such is DEAD after three tries.
    """
    for row_id, outcome in outcomes:
        row = await session.get(table, row_id)
        if row is None:  # deleted meanwhile
            continue
        row.leased_until = 0.0
        if outcome.is_sent:
            row.state, row.sent_at, row.error = SENT, now, outcome.note
        elif outcome.tried:
            row.tries += 1
            row.error = outcome.error[:_ERROR]
            row.due_at = now + backoff(row.tries)
            if outcome.rejected and row.tries >= _REJECTIONS:
                row.state = DEAD


def backoff(tries: int) -> float:
    """Seconds until the next try: 1, 2, 5, 15, 30 minutes, 1 hour, then 2 hours; with jitter."""
    return _BACKOFF[min(tries, len(_BACKOFF)) - 1] * random.uniform(0.9, 1.1)
