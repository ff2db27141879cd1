"""Mails straight from the journal, while the database is away.

An outage of the database is when most errors happen and none can be counted. After one minute,
after ten and after an hour one process of each machine tells what its journal holds; later the
database counts all of it as if nothing had been.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from quartapp.mail.smtp import Mail, Server, deliver
from quartapp.mail.strings import moment
from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.counting.aggregate import Aggregate, aggregate
from quartapp.reporting.journal.segments import list_segments, open_segment
from quartapp.reporting.journal.shared import shared_numbers
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.mails.message import Letterhead, build_digest, build_message
from quartapp.reporting.mails.summary import GroupSummary

AFTER = (60.0, 600.0, 3600.0)
"""Seconds without a database at which a mail is due."""

_PAUSE = 3600.0
"""After an outage that was told, a new one is first told after ten minutes: a database that comes
and goes makes no mail each time."""

_SINGLE = 5
_STALE = 2 * 3600.0


class FallbackMailer:
    """One of these a process; they agree through a file beside the journal who mails."""

    def __init__(
        self,
        journal: Journal,
        server: Server,
        letterhead: Letterhead,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = journal.folder / "direct"
        self._journal = journal
        self._server = server
        self._letterhead = letterhead
        self._clock = clock
        self._stage = 0

    async def send_due(self, away: float, offsets: dict[str, int]) -> int:
        """Mail what the journal holds, if it is time to; how many mails were taken.

        `away` are the seconds since the database was there; what stands before `offsets` is
        counted already.
        """
        stage = sum(away >= limit for limit in AFTER)
        if stage <= self._stage:
            return 0
        self._stage = stage
        if not await asyncio.to_thread(self._take, stage):
            return 0
        mails = await asyncio.to_thread(self._build, stage, self._clock() - away, offsets)
        outcomes = await deliver(mails, self._server) if mails else []
        return sum(outcome.is_sent for outcome in outcomes)

    def reset(self) -> None:
        """The database is back: the next outage begins anew, an hour after this one at full."""
        if self._stage:
            self._stage = 0
            with contextlib.suppress(OSError), shared_numbers(self._path) as numbers:
                numbers[:1] = [0]

    def _take(self, stage: int) -> bool:
        """Whether this stage of this outage is to be told, and no other process of this machine
        has done so."""
        now = self._clock()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with shared_numbers(self._path) as numbers:
                sent, at = numbers if len(numbers) == 2 else (0.0, 0.0)
                pause = _STALE if sent >= stage else _PAUSE if stage == 1 else 0.0
                if 0 <= now - at < pause:
                    return False
                numbers[:] = [stage, now]
        except OSError:
            pass  # better a mail too many
        return True

    def _build(self, stage: int, since: float, offsets: dict[str, int]) -> list[Mail]:
        aggregates = sorted(self._read(offsets), key=lambda one: -one.count)
        note = {"database": f"unreachable since {moment(since)}; told straight from the journal"}
        pairs = [(_alert(one, stage), _group(one, note)) for one in aggregates]
        letterhead, now = self._letterhead, self._clock()
        messages = [
            build_message(
                alert, group, one.samples[-1] if one.samples else None, letterhead, now=now
            )
            for one, (alert, group) in zip(aggregates[:_SINGLE], pairs, strict=False)
        ]
        if rest := pairs[_SINGLE:]:
            messages.append(build_digest(rest, letterhead, now=now))
        return [Mail.of(message, letterhead.recipients) for message in messages]

    def _read(self, offsets: dict[str, int]) -> Sequence[Aggregate]:
        return aggregate(self._payloads(offsets), self._clock())

    def _payloads(self, offsets: dict[str, int]) -> Iterator[bytes]:
        """What is not counted, with one segment at a time in memory: a full journal is 64 MB."""
        for path in list_segments(self._journal.folder):
            yield from self._payloads_of(path, offsets.get(path.stem, 0))

    def _payloads_of(self, path: Path, offset: int) -> list[bytes]:
        try:
            with open_segment(path) as reading:
                return reading.read(offset).payloads if reading is not None else []
        except OSError:  # of which the consumer has complained
            return []


def _alert(one: Aggregate, stage: int) -> Alert:
    # Episode 0 exists in no database: these Message-IDs meet no other.
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
