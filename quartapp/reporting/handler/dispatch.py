"""One round of a handler's thread: count what was recorded, mail what is due."""

import asyncio
import codecs
import time
from collections.abc import Callable, Iterator, Sequence
from email.message import EmailMessage
from typing import Protocol

from quartapp.mail.delivery import Mail, Outcome
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting.aggregate import aggregate
from quartapp.reporting.handler import sender
from quartapp.reporting.handler.envelope import Envelope
from quartapp.reporting.handler.groups import Group, Groups
from quartapp.reporting.recorder import EntryLog, Recorder

RETRY_AFTER = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
"""Seconds until a server that failed is tried again; the last number repeats."""

_REJECTIONS = 3

Build = Callable[[Sequence[Group], str, Envelope, float], EmailMessage]


class Source(EntryLog, Protocol):
    """Where records wait until they are counted (see `source`)."""

    poll: float | None

    def is_ours(self, groups: Groups) -> bool: ...
    def take(self) -> Iterator[list[bytes]]: ...
    def keep_aside(self, payloads: list[bytes]) -> None: ...
    def save(self, groups: Groups, *, changed: bool) -> None: ...
    def close(self) -> None: ...
    def release(self) -> None: ...
    def renew(self) -> None: ...


class Dispatcher:
    """Counts and mails for one handler. Only its thread calls it.

    `envelope` is called for each round that mails; what it raises counts as a failure of the
    server. `complain` is called once when something begins to fail.
    """

    def __init__(
        self,
        source: Source,
        recorder: Recorder,
        limits: Limits,
        *,
        envelope: Callable[[], Envelope],
        complain: Callable[[str], None],
        hurry_seconds: Callable[[], float],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.groups = Groups(limits)
        self._source = source
        self._recorder = recorder
        self._limits = limits
        self._envelope = envelope
        self._complain = complain
        self._hurry_seconds = hurry_seconds
        self._clock = clock
        self._failures = 0
        self._retry_at = 0.0
        self._is_failing = ""

    def renew(self) -> None:
        """In a forked child: the parent mails what it has counted."""
        self.groups = Groups(self._limits)
        self._failures, self._retry_at, self._is_failing = 0, 0.0, ""

    def __call__(self, *, hurry: bool, last: bool) -> float | None:
        """One round; see `sender.Work`."""
        try:
            return self._round(hurry=hurry, last=last)
        except Exception as error:  # noqa: BLE001 - the thread must not end
            self._fail(f"{type(error).__name__}: {error}")
            return RETRY_AFTER[0]

    def _round(self, *, hurry: bool, last: bool) -> float | None:
        self._recorder.write_owed()
        if last:
            self._source.close()
        if not self._source.is_ours(self.groups):
            return self._source.poll
        try:
            self._save(changed=self._count(hurry=hurry))
            if hurry or self._clock() >= self._retry_at:
                self._mail(hurry=hurry)
        finally:
            if last:
                self._source.release()
        return self._wait()

    def _count(self, *, hurry: bool) -> bool:
        """Count what is new; returns whether there was anything."""
        now = self._clock()
        changed = False
        for payloads in self._source.take():
            changed |= self._add(payloads, now)
        if owed := self._recorder.take_owed():  # which the spool does not take
            changed |= self._add([tick.encode() for tick in owed], now)
        before = self.groups.wake_at(now)
        if before is not None and before <= now:
            self.groups.wake(now)
            changed = True
        if hurry and self.groups.unmailed:
            self.groups.hurry(now)
            changed = True
        return changed

    def _add(self, payloads: list[bytes], now: float) -> bool:
        aggregates, senseless = aggregate(payloads, now)
        if senseless:
            self._source.keep_aside(senseless)
        self.groups.add(aggregates, now)
        return bool(aggregates)

    def _mail(self, *, hurry: bool) -> None:
        now = self._clock()
        due = self.groups.due(now, all_of_them=hurry)
        if not due:
            return
        try:
            outcomes: Sequence[Outcome] = self._deliver(
                due, now, self._hurry_seconds() if hurry else None
            )
        except Exception as error:  # noqa: BLE001 - a file of a certificate, for instance
            outcomes = [Outcome(f"{type(error).__name__}: {error}")]
        for groups, outcome in zip(due, outcomes, strict=False):
            if outcome.is_sent:
                self.groups.mailed(groups, now)
            elif outcome.rejected:
                _drop_records(groups)
        failure = next((outcome.error for outcome in outcomes if outcome.error), "")
        if failure:
            self._failures += 1
            self._retry_at = now + RETRY_AFTER[min(self._failures, len(RETRY_AFTER)) - 1]
            self._fail(f"the mail server: {failure}")
        else:
            self._failures, self._retry_at, self._is_failing = 0, 0.0, ""
        self._save(changed=True)

    def _deliver(
        self, due: Sequence[list[Group]], now: float, seconds: float | None
    ) -> Sequence[Outcome]:
        envelope = self._envelope()
        # Only here: a program that has nothing to mail does not load what makes and sends mails.
        # The first mail imports too, and so do codecs that are looked up, such as jinja2's.
        with sender.loading:
            from quartapp.mail.smtp import deliver
            from quartapp.reporting.handler import letters

            codecs.lookup("idna")  # for the name of the mail server
            mails = [self._built(letters.build, groups, envelope, now) for groups in due]
        sending = deliver([mail for mail in mails if mail], envelope.server)
        try:
            # Without seconds there is no limit but those of the server's commands.
            sent = iter(sender.run(asyncio.wait_for(sending, seconds)))
        except TimeoutError:
            return [Outcome(f"it did not take the mails in {seconds:g} s")]
        return [next(sent) if mail else Outcome("a mail could not be built") for mail in mails]

    def _built(
        self, build: Build, groups: Sequence[Group], envelope: Envelope, now: float
    ) -> Mail | None:
        """A mail, without the records' texts if they are why it cannot be built; else None."""
        for _ in range(2):
            try:
                return Mail.of(build(groups, self.groups.id, envelope, now), envelope.recipients)
            except Exception as error:  # noqa: BLE001 - one mail must not stop others
                self._fail(f"a mail could not be built: {type(error).__name__}")
                for group in groups:
                    group.records.clear()
        return None

    def _save(self, *, changed: bool) -> None:
        try:
            self._source.save(self.groups, changed=changed)
        except OSError as error:
            self._fail(f"the spool: {error}")

    def _fail(self, text: str) -> None:
        if not self._is_failing:
            self._complain(text)
        self._is_failing = text

    def _wait(self) -> float | None:
        now = self._clock()
        moments = [self.groups.wake_at(now)]
        if self.groups.due(now):
            moments.append(max(self._retry_at, now))
        waits = [max(moment - now, 0.0) for moment in moments if moment is not None]
        if self._source.poll is not None:
            waits.append(self._source.poll)
        elif self._recorder.owed:
            waits.append(RETRY_AFTER[0])
        return min(waits, default=None)


def _drop_records(groups: Sequence[Group]) -> None:
    """After three rejections of a mail its text is left out: it may be the reason."""
    for group in groups:
        group.rejections += 1
        if group.rejections >= _REJECTIONS:
            group.records.clear()
