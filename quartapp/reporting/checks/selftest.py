"""An error made on purpose, and followed to the mail server and to the webhook."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

from sqlalchemy import select, update

from quartapp.database.dialect import database_now
from quartapp.mail.delivery import Server
from quartapp.mail.outbox import SENT
from quartapp.mail.sender import Sender
from quartapp.reporting.alerts import evaluation
from quartapp.reporting.checks.doctor import mismatch
from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.journal.servers import living_servers
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.queries.groups import find_group
from quartapp.reporting.queries.triage import decide, resolve
from quartapp.reporting.tables import AlertRow, ErrorAlert, ErrorWebhook

_SECONDS = 30.0
_COUNTED_SECONDS = 15.0


class SelfTestError(Exception):
    """Raised by `errors test`; nothing is wrong."""


async def follow(pipeline: Pipeline) -> AsyncGenerator[str]:
    """Record an error and take it through every part; yields a sentence for each step.

    Raises the database's errors, and RuntimeError if the journal cannot be written, or the mail or
    the webhook was not taken.
    """
    fingerprint = _record(pipeline)
    if pipeline.recorder.owed:
        raise RuntimeError("the journal cannot be written; 'errors doctor' says more")
    yield f"recorded as {fingerprint} in segment {pipeline.journal.segment_name}"
    yield await _counted(pipeline, fingerprint)
    async with pipeline.database.begin() as session:
        group_id = (await find_group(session, fingerprint)).id
        # Nothing else will happen in this group, so the initial delay is skipped.
        now = await database_now(session)
        later = now + pipeline.consumer.rules.limits.initial_delay
        await evaluation.wake(session, pipeline.consumer.rules, later)
        for table in (ErrorAlert, ErrorWebhook):
            made = update(table).where(table.group_id == group_id)
            await session.execute(made.values(created_at=now, due_at=now))
    yield f"counted in the database as group {group_id}"
    if pipeline.mailer is None:
        yield "not mailed: mails are off (MAIL_SERVER is not set, or DEBUG is)"
    else:
        yield "put into the outbox"
        server = pipeline.mailer.server
        assert isinstance(server, Server), "commands have no mailbox"
        sent = _Sent("mail", "the mail server", f"{server.host}:{server.port} for the operators")
        yield await _taken(pipeline, pipeline.mailer, ErrorAlert, group_id, sent)
    if pipeline.webhook is not None:
        endpoint = pipeline.webhook.endpoint
        sent = _Sent("webhook", endpoint.host, f"{endpoint.host}:{endpoint.port}, by a POST")
        yield await _taken(pipeline, pipeline.webhook, ErrorWebhook, group_id, sent)
    async with pipeline.database.begin() as session:
        now = await database_now(session)
        await decide(session, group_id, resolve(now), who="errors test", now=now)
    yield f"resolved: nobody needs to look at group {group_id}"


async def _counted(pipeline: Pipeline, fingerprint: str) -> str:
    """Let the server count it, if one runs here: to count it in this process proves little."""
    states = await asyncio.to_thread(living_servers, pipeline.journal.folder)
    for state in states:
        if fault := mismatch(pipeline, state) or state.trouble:
            raise RuntimeError(f"the server's process {state.pid}: {fault}")
    if not states:
        await pipeline.flush()
        return "counted by this command: no server that counts this journal runs here"
    pipeline.journal.close()  # for any process to finish
    deadline = time.monotonic() + _COUNTED_SECONDS
    while time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        async with pipeline.database.session(write=False) as session:
            with contextlib.suppress(GroupNotFoundError):
                await find_group(session, fingerprint)
                return f"counted by a server, of {len(states)} processes"
    raise RuntimeError(
        f"no server counted it in {_COUNTED_SECONDS:.0f} seconds, though {len(states)} of its"
        " processes run here"
    )


def _record(pipeline: Pipeline) -> str:
    try:
        error = SelfTestError("This is a test of the error reports.")
        # Always a new group: about a known one no mail would be sent.
        error.__fingerprint__ = f"selftest {secrets.token_hex(8)}"  # type: ignore[attr-defined]  # documented
        raise error
    except SelfTestError as raised:
        return pipeline.recorder.record(raised).fingerprint


class _Sent(NamedTuple):
    """The words for what is sent, for who takes it, and for where it is then."""

    what: str
    server: str
    address: str


async def _taken(
    pipeline: Pipeline, sender: Sender[Any], table: type[AlertRow], group_id: int, sent: _Sent
) -> str:
    try:
        async with asyncio.timeout(_SECONDS):
            while True:
                await sender.send_due()
                async with pipeline.database.session(write=False) as session:
                    query = select(table).where(table.group_id == group_id)
                    alert = (await session.scalars(query)).first()
                if alert is None:
                    raise RuntimeError("no alert was put into the outbox")
                if alert.state == SENT:
                    note = f" ({alert.error})" if alert.error else ""
                    return f"taken by {sent.address}{note}"
                if alert.tries:
                    raise RuntimeError(f"{sent.server} did not take it: {alert.error}")
                # A server that runs at the same time may be sending it.
                await asyncio.sleep(0.2)
    except TimeoutError as error:
        raise RuntimeError(
            f"the {sent.what} still waits in the outbox after {_SECONDS:.0f} seconds: the budget of"
            f" {sent.what}s is spent, or {sent.server} is slow"
        ) from error
