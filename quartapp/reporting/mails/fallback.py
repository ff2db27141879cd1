"""Mails, and webhooks, directly from the journal, while the database is unreachable.

During an outage of the database most errors happen, and none can be counted. After one minute, ten
minutes and one hour one process of each machine sends what its journal holds. When the database is
back, all of it is counted as usual.
"""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from quartapp.mail.delivery import Mail, Outcome, Server
from quartapp.mail.mailbox import Mailbox
from quartapp.mail.mailer import deliver_to
from quartapp.mail.strings import moment
from quartapp.permissions import make_private_folder
from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.counting.aggregate import Aggregate, aggregate
from quartapp.reporting.journal.segments import list_segments, open_segment
from quartapp.reporting.journal.shared import shared_numbers
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.mails.message import Letterhead, build_digest, build_message
from quartapp.reporting.mails.summary import GroupSummary
from quartapp.reporting.report import Report

AFTER = (60.0, 600.0, 3600.0)
"""Seconds without a database after which a mail is due."""

_COOLDOWN = 3600.0
"""For so long after a mail the first stage is skipped: a database that comes and goes must not
cause a mail each time."""

_SINGLE = 5
_STALE = 2 * 3600.0


Message = TypeVar("Message")


class Fallback(ABC, Generic[Message]):
    """One in each process; through a file beside the journal they agree on which of them sends.

    `file` is its name, one for each kind of messages.
    """

    file = "direct"

    def __init__(self, journal: Journal, clock: Callable[[], float] = time.time) -> None:
        self._path = journal.folder / self.file
        self._journal = journal
        self._clock = clock
        self._stage = 0

    @abstractmethod
    def build_single(self, alert: Alert, group: GroupSummary, report: Report | None) -> Message:
        """The message about one group. Called in a thread."""

    @abstractmethod
    def build_digest(self, alerts: Sequence[tuple[Alert, GroupSummary]]) -> Message:
        """One message about many groups. Called in a thread."""

    @abstractmethod
    async def deliver(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Send messages. Never raises."""

    async def send_due(self, away: float, offsets: dict[str, int]) -> int:
        """Send what the journal holds, if that is due; returns how many messages were taken.

        `away`: seconds since the database answered last. What is before `offsets` in each segment
        is counted already, and left out.
        """
        stage = sum(away >= limit for limit in AFTER)
        if stage <= self._stage:
            return 0
        self._stage = stage
        if not await asyncio.to_thread(self._take, stage):
            return 0
        messages = await asyncio.to_thread(self._build, stage, self._clock() - away, offsets)
        outcomes = await self.deliver(messages) if messages else []
        return sum(outcome.is_sent for outcome in outcomes)

    def reset(self) -> None:
        """Call this when the database is back: the stages of the next outage begin again."""
        if self._stage:
            self._stage = 0
            with contextlib.suppress(OSError), shared_numbers(self._path) as numbers:
                numbers[:1] = [0]

    def _take(self, stage: int) -> bool:
        """Whether to mail this stage: no other process of this machine has done so."""
        now = self._clock()
        try:
            make_private_folder(self._path.parent)
            with shared_numbers(self._path) as numbers:
                sent, at = numbers if len(numbers) == 2 else (0.0, 0.0)
                cooldown = _STALE if sent >= stage else _COOLDOWN if stage == 1 else 0.0
                if 0 <= now - at < cooldown:
                    return False
                numbers[:] = [stage, now]
        except OSError:
            pass  # better one mail too many
        return True

    def _build(self, stage: int, since: float, offsets: dict[str, int]) -> list[Message]:
        aggregates = sorted(self._read(offsets), key=lambda one: -one.count)
        note = {"database": f"unreachable since {moment(since)}; sent directly from the journal"}
        pairs = [(_alert(one, stage), _group(one, note)) for one in aggregates]
        messages = [
            self.build_single(alert, group, one.samples[-1] if one.samples else None)
            for one, (alert, group) in zip(aggregates[:_SINGLE], pairs, strict=False)
        ]
        if rest := pairs[_SINGLE:]:
            messages.append(self.build_digest(rest))
        return messages

    def _read(self, offsets: dict[str, int]) -> Sequence[Aggregate]:
        return aggregate(self._payloads(offsets), self._clock(), references=False)[0]

    def _payloads(self, offsets: dict[str, int]) -> Iterator[bytes]:
        """What is not counted, one segment in memory at a time: a full journal is 64 MB."""
        for path in list_segments(self._journal.folder):
            yield from self._payloads_of(path, offsets.get(path.stem, 0))

    def _payloads_of(self, path: Path, offset: int) -> list[bytes]:
        try:
            with open_segment(path) as reading:
                return reading.read(offset).payloads if reading is not None else []
        except OSError:  # which the consumer has logged
            return []


class FallbackMailer(Fallback[Mail]):
    """Sends mails."""

    def __init__(
        self,
        journal: Journal,
        server: Server | Mailbox,
        letterhead: Letterhead,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(journal, clock)
        self._server = server
        self._letterhead = letterhead

    def build_single(self, alert: Alert, group: GroupSummary, report: Report | None) -> Mail:
        message = build_message(alert, group, report, self._letterhead, now=self._clock())
        return Mail.of(message, self._letterhead.recipients)

    def build_digest(self, alerts: Sequence[tuple[Alert, GroupSummary]]) -> Mail:
        message = build_digest(alerts, self._letterhead, now=self._clock())
        return Mail.of(message, self._letterhead.recipients)

    async def deliver(self, messages: Sequence[Mail]) -> Sequence[Outcome]:
        return await deliver_to(self._server, messages)


def _alert(one: Aggregate, stage: int) -> Alert:
    # No database has an episode 0: these Message-IDs are equal to no others.
    return Alert(Kind.NEW, stage, 0, one.count, one.first)


def _group(one: Aggregate, note: dict[str, str]) -> GroupSummary:
    return GroupSummary(
        fingerprint=one.fingerprint,
        title=one.title,
        count=one.count,
        first_seen=one.first,
        last_seen=one.last,
        hosts=tuple({report.origin.host for report in one.samples}),
        releases=tuple({report.origin.release for report in one.samples}),
        extra=note,
    )
