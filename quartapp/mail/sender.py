"""The sender: from an outbox to whom its messages are for, at least once.

Messages are built in a thread and delivered without blocking: no request waits for a slow server.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.database.dialect import database_now
from quartapp.mail.delivery import Outcome
from quartapp.mail.outbox import (
    Backlog,
    OutboxRow,
    Outgoing,
    backlog,
    is_any_due,
    record_outcomes,
)
from quartapp.mail.strings import without_names

_logger = logging.getLogger(__name__)

Message = TypeVar("Message")
Deliver = Callable[[Sequence[Message]], Awaitable[Sequence[Outcome]]]


class Outbox(Protocol[Message]):
    """One kind of messages: the table in which they wait, and what they say."""

    @property
    def table(self) -> type[OutboxRow]: ...

    async def lease(self, session: AsyncSession, now: float) -> Sequence[Outgoing[Message]]:
        """Lease the messages to send now, with `outbox.select_due` and `outbox.lease`."""


class Sender(Generic[Message]):
    """Sends what is due in one outbox. Any number of senders may work on one database.

    `deliver` returns an outcome for each message, and never raises. `noun` is for the log.
    """

    def __init__(
        self,
        database: DatabaseEngine,
        outbox: Outbox[Message],
        deliver: Deliver[Message],
        noun: str = "Messages",
    ) -> None:
        self.outbox = outbox
        self._database = database
        self.deliver = deliver
        self._noun = noun

    async def send_due(self) -> int:
        """Send what is due now; returns how many messages the server accepted.

        Raises the database's errors. Faults of the server are recorded in the outbox.
        """
        async with self._database.session(write=False) as reader:
            now = await database_now(reader)
            if not await is_any_due(reader, self.outbox.table, now):
                return 0
        async with self._database.begin() as session:
            leased = await self.outbox.lease(session, now)
        built = await asyncio.to_thread(_build, leased)
        messages = [each for each in built if not isinstance(each, Outcome)]
        delivered = iter(await self.deliver(messages) if messages else [])
        outcomes = [each if isinstance(each, Outcome) else next(delivered) for each in built]
        await self._record(leased, outcomes)
        return sum(outcome.is_sent for outcome in outcomes)

    async def backlog(self) -> Backlog:
        """What waits in the outbox now. Raises the database's errors."""
        async with self._database.session(write=False) as session:
            return await backlog(session, self.outbox.table)

    async def _record(
        self, leased: Sequence[Outgoing[Message]], outcomes: Sequence[Outcome]
    ) -> None:
        failed = next((outcome for outcome in outcomes if outcome.error), None)
        if failed is not None:
            # The whole text is in the outbox, beside the recipient.
            _logger.error("%s could not be sent: %s", self._noun, without_names(failed.error))
        async with self._database.begin() as session:
            by_row = list(_by_row(leased, outcomes))
            now = await database_now(session)
            await record_outcomes(session, self.outbox.table, by_row, now)


def _build(leased: Sequence[Outgoing[Message]]) -> list[Message | Outcome]:
    built: list[Message | Outcome] = []
    for outgoing in leased:
        try:
            built.append(outgoing.build())
        except Exception as error:  # noqa: BLE001 - one that cannot be built must not stop others
            text = f"it could not be built: {type(error).__name__}"
            built.append(Outcome(text, rejected=True))
    return built


def _by_row(
    leased: Sequence[Outgoing[Message]], outcomes: Sequence[Outcome]
) -> Iterator[tuple[int, Outcome]]:
    for outgoing, outcome in zip(leased, outcomes, strict=True):
        if len(outgoing.ids) > 1:  # which of the rows made the server reject it is unknown
            outcome = replace(outcome, rejected=False)
        yield from ((row_id, outcome) for row_id in outgoing.ids)
