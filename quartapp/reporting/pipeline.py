"""Reporting of one application, from the start to the end of serving.

Errors are recorded as soon as the mechanisms are installed, before the application serves. `start`
adds the tasks that count and mail, and `stop` ends them. Without `stop` nothing is lost that the
journal has: the next start counts it.
"""

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from quartapp.database import DatabaseEngine
from quartapp.mail.strings import plain
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.exceptions import (
    DatabaseReplacedError,
    NewerSchemaError,
    brief,
    sentence,
)
from quartapp.reporting.hooks.mechanisms import Mechanisms
from quartapp.reporting.journal.entries import Feedback
from quartapp.reporting.journal.servers import (
    KEPT,
    SENT,
    Identity,
    Presence,
    ServerState,
    living_servers,
)
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.queries.triage import muted_groups
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.retention import Keep, Retention
from quartapp.settings import ConfigurationError

if TYPE_CHECKING:  # an application that sends none does not load them (see `setup`)
    from quartapp.mail.mailer import Mailer
    from quartapp.reporting.mails.fallback import Fallback, FallbackMailer
    from quartapp.reporting.webhooks.outbox import WebhookSender

EVERY = 1.0
"""Seconds between two rounds of counting."""

TRAFFIC_EVERY = 10.0
"""Seconds between two writes of how many responses there were: each one is a transaction."""

MUTED_EVERY = 5.0
"""Seconds between two queries for the muted groups; a page may be out of date for this long."""

READY_AFTER = 3.0
"""Seconds without counting after which `Pipeline.trouble` reports it: some failures are short."""

UNMADE = "does not exist yet; a server makes it"

_ROUND_SECONDS = 60.0
_ENOUGH_SECONDS = 20.0
"""Seconds after which a round begins no further segment. A backlog, as after an outage, must not
make the database appear unreachable."""

_FLUSH_SECONDS = 5.0
_OWED_SECONDS = 2.0
_SYNC_EVERY = 0.1
_RETAIN_EVERY = 60.0
_RETAIN_SECONDS = 0.2
"""Seconds of a minute in which old rows are deleted: at least 10,000, or 20,000 looked at."""

CANCEL_AGAIN = 0.5
"""Seconds after which a cancelled task that still runs is cancelled again."""

_NEIGHBOUR = (
    "A development server and a server that sends mails use the same instance folder, {folder} (the"
    " other is process {pid}). Each would take the other's error mails. Stop one, or give the"
    " development server a folder of its own: INSTANCE_PATH of the microblog, elsewhere"
    " `instance_path` of the application."
)

_logger = logging.getLogger(__name__)


class Pipeline:
    """Reporting of one application: `app.extensions["reporting"]`.

    `mailer` and `fallback` are None without mails, and `webhook` without ERRORS_WEBHOOK_URL; they
    may be set until `start`, as may `keeps_mails`: a development server keeps them in its mailbox.
    `prepare` makes or upgrades the tables; without it they belong to the application's migrations.

    It owns the tasks that `start` creates; `stop` ends them.
    """

    def __init__(
        self,
        *,
        database: DatabaseEngine,
        prepare: Callable[[], Awaitable[None]] | None = None,
        journal: Journal,
        recorder: Recorder,
        mechanisms: Mechanisms,
        consumer: Consumer,
        retention: Retention | None = None,
        mailer: "Mailer | None" = None,
        webhook: "WebhookSender | None" = None,
        fallback: "FallbackMailer | None" = None,
        fsync: bool = False,
        faults: Sequence[str] = (),
    ) -> None:
        self.database = database
        self._prepare_tables = prepare
        self.is_prepared = prepare is None
        self.journal = journal
        self.recorder = recorder
        self.mechanisms = mechanisms
        self.consumer = consumer
        self.retention = retention or Retention(database, Keep())
        self.mailer = mailer
        self.webhook = webhook
        self.fallback = fallback
        self.send_every = EVERY
        self.keeps_mails = False
        self.faults = faults
        self._fsync = fsync
        self._tasks: list[asyncio.Task[None]] = []
        self._presence = Presence(journal.folder)
        self._database_file: Identity | None = None
        self._trouble = ""
        self._is_lasting = False
        self._journal_trouble = ""
        self._cannot_sync = False
        self._away_since: float | None = None
        self._muted: frozenset[str] | None = None
        self._muted_at = 0.0
        self._traffic_at = 0.0

    def notifies_of(self, group: str) -> bool:
        """Whether the operator is notified of a group, by mail or webhook, according to memory.

        False without both, and as long as the muted groups are unknown.
        """
        return self._notifies and self._muted is not None and group not in self._muted

    @property
    def _notifies(self) -> bool:
        return self.mailer is not None or self.webhook is not None

    def keep_feedback(self, reference: str, text: str) -> bool:
        """Write what a person says about an error to the journal, without secrets.

        Returns False if there is no room for it. Never waits.
        """
        [clean] = self.recorder.scrubber.clean([plain(text)])
        entry = Feedback(reference, int(time.time()), clean)
        return not self.journal.is_crowded and self.journal.append(entry.encode())

    @property
    def _mails(self) -> str:
        return KEPT if self.keeps_mails else SENT if self._notifies else ""

    async def start(self) -> None:
        """Install the mechanisms of the process, allocate the journal, and start the tasks.

        Raises ConfigurationError in a development server whose journal is also that of a server
        that sends mails: see `_check_neighbours`.
        """
        await self._check_neighbours()
        self.mechanisms.install_in_process()
        for fault in self.faults:
            _logger.warning("%s", fault)
        await asyncio.to_thread(self.journal.prepare)
        await self._note_presence()
        work = [repeat(EVERY, self.count), repeat(EVERY, self._note_presence)]
        work += [repeat(EVERY, self._check_journal), self._prepare()]
        work.append(repeat(EVERY, self._retain))
        for sender in (self.mailer, self.webhook):
            if sender is not None:
                work.append(repeat(self.send_every, partial(self._send, sender)))
        if self._fsync:
            work.append(repeat(_SYNC_EVERY, self._sync))
        self._tasks = [asyncio.create_task(one, name="reporting") for one in work]

    async def _check_neighbours(self) -> None:
        """A development server and one in production share no instance folder.

        Either would take the other's mails: those of production would be kept where nobody looks,
        and the administrators would get those about code that somebody is writing.
        """
        for state in await asyncio.to_thread(living_servers, self.journal.folder):
            if {state.mails, self._mails} == {SENT, KEPT}:
                text = _NEIGHBOUR.format(folder=self.journal.folder.parent, pid=state.pid)
                if self.keeps_mails:
                    raise ConfigurationError(text)
                _logger.warning("%s", text)

    async def _prepare(self) -> None:
        """Prepare the recorder, after the first responses."""
        await asyncio.sleep(EVERY)
        await asyncio.to_thread(self.recorder.prepare)

    async def stop(self) -> None:
        """End the tasks, then count what is left, for at most seven seconds.

        Connections that this has opened are closed, even if the owner of the database has closed
        the others already.
        """
        await asyncio.gather(*(end(task) for task in self._tasks))
        self._tasks = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self.count()
                await self._count_last_traffic()
        await self._count_owed()
        if not self.database.is_in_memory:
            await self.database.dispose()
        await asyncio.to_thread(self._presence.close)
        self.mechanisms.remove_from_process()

    async def _count_owed(self) -> None:
        """Count in the database what the journal refused: this process will not try it again."""
        if self.journal.is_homeless:
            _logger.error("The errors that were recorded since the journal was removed are lost")
        owed = self.recorder.take_owed()
        if not owed:
            return
        try:
            async with asyncio.timeout(_OWED_SECONDS):
                await self.prepare()
                await self.consumer.count_owed(owed)
        except Exception as error:  # noqa: BLE001 - stopping must continue
            number = sum(tick.count for tick in owed)
            _logger.error(
                "%d errors that the journal refused stay uncounted: %s", number, brief(error)
            )

    @property
    def is_unmade(self) -> bool:
        """Whether no server has made the file of reporting itself yet."""
        is_own_file = self._prepare_tables is not None and self.database.is_sqlite
        return is_own_file and self.database.file_identity() is None

    async def prepare(self) -> None:
        """Make or upgrade the tables, once. Raises the database's errors, and NewerSchemaError."""
        if self._prepare_tables is not None and not self.is_prepared:
            await self._prepare_tables()
            self.is_prepared = True

    async def flush(self, seconds: float = float("inf")) -> int:
        """Count what is recorded now; after `seconds` no further segment is begun.

        Returns the number of occurrences. Raises the database's errors, and NewerSchemaError.
        """
        await self.prepare()
        self.recorder.write_owed()
        return await self.consumer.consume(seconds)

    async def count(self) -> None:
        """Count once; a task of `start` calls this every EVERY seconds.

        A failure is logged, not raised. After a minute of failures the fallbacks send messages.
        """
        try:
            async with asyncio.timeout(_ROUND_SECONDS):
                await self._check_database_file()
                await self.flush(_ENOUGH_SECONDS)
                await self.consumer.wake()
                await self._count_traffic()
                await self._note_muted()
        except Exception as error:  # noqa: BLE001 - the journal keeps errors; the next round tries again
            await self._is_away(error)
        else:
            self._is_back()

    async def _check_database_file(self) -> None:
        """Notice that the file was replaced: connections would write to the old file, which is lost
        when they close.

        A file of reporting itself is made again; for another one this raises DatabaseReplacedError.
        """
        if self._database_file in {None, self.database.file_identity()}:
            return
        if self._prepare_tables is None:
            raise DatabaseReplacedError("the file of the database was removed or replaced")
        _logger.warning(
            "The file of the database of errors was removed or replaced; it is made again"
        )
        await self.database.dispose()
        self._database_file, self.is_prepared = None, False

    async def _check_journal(self) -> None:
        """Log once that the journal cannot be written, before an error needs it."""
        text = await asyncio.to_thread(self.journal.trouble)
        if text and not self._journal_trouble:
            _logger.error("Errors cannot be recorded in full: %s", text)
        elif self._journal_trouble and not text:
            _logger.warning("Errors are recorded in full again")
        self._journal_trouble = text

    @property
    def trouble(self) -> str:
        """Why errors are not recorded or have not been counted for some seconds; "" if all is well.

        A sentence for operators: it may name paths.
        """
        is_away = self._away_since is not None and (
            time.monotonic() - self._away_since > READY_AFTER or self._is_lasting
        )
        return self._journal_trouble or (self._trouble if is_away else "")

    async def _note_presence(self) -> None:
        """Store what this process uses, for the commands."""
        state = ServerState(
            os.getpid(),
            journal=self.journal.home,
            database=self._database_file,
            address=self.database.address,
            restored_at=self.journal.restored_at,
            trouble=self.trouble,
            mails=self._mails,
        )
        await asyncio.to_thread(self._presence.note, state)

    async def _note_muted(self) -> None:
        now = time.monotonic()
        if self._notifies and (self._muted is None or now - self._muted_at > MUTED_EVERY):
            async with self.database.session(write=False) as session:
                self._muted = await muted_groups(session, time.time())
            self._muted_at = now

    async def _count_traffic(self, *, last: bool = False) -> None:
        """Add to the numbers of responses. What cannot be stored is stored later."""
        traffic, now = self.mechanisms.traffic, time.monotonic()
        has_some = traffic.note(int(time.time() // 60))
        if not has_some or not (last or now - self._traffic_at > TRAFFIC_EVERY):
            return
        self._traffic_at = now
        minutes = traffic.take()
        try:
            await self.consumer.count_traffic(minutes)
        except BaseException:
            traffic.give_back(minutes)
            raise

    async def _count_last_traffic(self) -> None:
        if self._away_since is not None:  # which the log has said
            return
        try:
            await self._count_traffic(last=True)
        except Exception as error:  # noqa: BLE001 - stopping must continue
            _logger.error("The last numbers of responses are not counted: %s", brief(error))

    async def _is_away(self, error: Exception) -> None:
        self._trouble = sentence(error)
        # Some of the other failures are short: a lock, a restart of the database.
        self._is_lasting = isinstance(error, DatabaseReplacedError | NewerSchemaError)
        if self._away_since is None:
            self._away_since = time.monotonic()
            _logger.error("Errors cannot be counted, the journal keeps them: %s", self._trouble)
        for fallback in self._fallbacks():
            try:
                away = time.monotonic() - self._away_since
                await fallback.send_due(away, self.consumer.offsets)
            except Exception as failure:  # noqa: BLE001 - a last resort must not stop the rest
                _logger.error("No message could be made of the journal: %s", brief(failure))

    def _fallbacks(self) -> "list[Fallback[Any]]":
        found = (self.fallback, self.webhook.fallback if self.webhook else None)
        return [fallback for fallback in found if fallback is not None]

    def _is_back(self) -> None:
        self._trouble = ""
        if self._database_file is None:
            self._database_file = self.database.file_identity()
        if self._away_since is not None:
            _logger.warning("Errors are counted again")
            self._away_since = None
            for fallback in self._fallbacks():
                fallback.reset()

    async def _send(self, sender: "Mailer | WebhookSender") -> None:
        if not self.is_prepared:  # `count` prepares, and says why it cannot
            return
        try:
            await sender.send_due()
        except Exception as error:  # noqa: BLE001 - the outbox keeps mails; the next round tries again
            if self._away_since is None:
                _logger.error("Messages wait in the outbox: %s", brief(error))

    async def _retain(self) -> None:
        """After a minute, delete what is too old: not at the start, nor before the tables exist."""
        await asyncio.sleep(_RETAIN_EVERY * random.uniform(0.8, 1.2))
        if not self.is_prepared or self._away_since is not None:
            return
        try:
            await self.retention.work(_RETAIN_SECONDS)
        except Exception as error:  # noqa: BLE001 - the next round tries again
            _logger.error("Old errors cannot be deleted: %s", brief(error))

    async def _sync(self) -> None:
        try:
            await asyncio.to_thread(self.journal.sync)
        except OSError as error:
            if not self._cannot_sync:
                _logger.error("The journal cannot be synced: %s", error)
            self._cannot_sync = True
        else:
            self._cannot_sync = False


async def repeat(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Call `work` with pauses of about `seconds` until cancelled. Its failures are logged.

    The pauses vary by 20 %, so that workers and machines do not work at the same moment.
    """
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - this task must not end before the server
            _logger.error("A task of reporting failed: %s", brief(error))
        await asyncio.sleep(seconds * random.uniform(0.8, 1.2))


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended. Its exception is not raised.

    Cancelling once is not always enough: a database driver that is connecting while the server
    closes the connection can mistake the cancellation for a failure to connect.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN)
    if not task.cancelled():
        task.exception()  # otherwise asyncio logs it as never retrieved
