"""From the outbox of alerts to the operators, with a real SMTP server that can be made to fail."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.database.dialect import database_now
from quartapp.mail.delivery import Server
from quartapp.mail.mailer import Mailer
from quartapp.mail.outbox import DEAD, SENT, WAITING
from quartapp.reporting.alerts import evaluation
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting import store
from quartapp.reporting.counting.aggregate import Aggregate
from quartapp.reporting.mails import outbox
from quartapp.reporting.mails.message import Letterhead, build_message
from quartapp.reporting.mails.outbox import AlertOutbox
from quartapp.reporting.report import Report
from quartapp.reporting.tables import MERGED, ErrorAlert, ErrorFeedback
from quartapp.testing.mail import MailServer

LETTERHEAD = Letterhead(
    sender="no-reply@example.com",
    recipients=("ops@example.com",),
    app="microblog",
    domain="example.com",
)
RULES = Rules(host="alpha", limits=Limits(initial_delay=0.0, budget=3), mails=True)


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


def make_mailer(database: DatabaseEngine, mail_server: MailServer) -> Mailer:
    server = Server(mail_server.host, mail_server.port)
    return Mailer(database, server, AlertOutbox(LETTERHEAD, RULES.limits))


@pytest.fixture
def mailer(database: DatabaseEngine, mail_server: MailServer) -> Mailer:
    return make_mailer(database, mail_server)


Happen = Callable[..., Any]


@pytest.fixture
def happen(database: DatabaseEngine) -> Happen:
    """Insert groups of errors, and the alerts about them."""

    async def happen(*groups: str, count: int = 1) -> None:
        now = time.time()
        aggregates = []
        for group in sorted(groups):
            one = Aggregate(group, title=f"KeyError {group}", count=count, first=now, last=now)
            one.minutes[int(now // 60)] = count
            one.samples.append(
                Report(id=f"{group}{now}", fingerprint=group, time=now, title=f"KeyError {group}")
            )
            aggregates.append(one)
        async with database.begin() as session:
            await store.count(session, aggregates, RULES, await database_now(session))
        async with database.begin() as session:
            await evaluation.wake(session, RULES, await database_now(session) + 1)

    return happen


async def alerts(session: AsyncSession) -> list[ErrorAlert]:
    await session.rollback()
    query = select(ErrorAlert).order_by(ErrorAlert.id).execution_options(populate_existing=True)
    return list((await session.scalars(query)).all())


async def change(database: DatabaseEngine, **values: float) -> None:
    async with database.begin() as session:
        await session.execute(update(ErrorAlert).values(**values))


async def test_sends_each_alert_once(
    mailer: Mailer, mail_server: MailServer, happen: Happen, session: AsyncSession
) -> None:
    await happen("aaaa", "bbbb")
    assert await mailer.send_due() == 2
    assert await mailer.send_due() == 0
    assert [mail.message["Subject"] for mail in mail_server.mails] == [
        "[microblog prod] NEW KeyError aaaa (#aaaa)",
        "[microblog prod] NEW KeyError bbbb (#bbbb)",
    ]
    assert {row.state for row in await alerts(session)} == {SENT}


async def test_rivals_send_each_alert_once(
    database: DatabaseEngine, mailer: Mailer, mail_server: MailServer, happen: Happen
) -> None:
    await happen("aaaa", "bbbb", "cccc")
    rivals = [make_mailer(database, mail_server) for _ in range(4)]
    assert sum(await asyncio.gather(*(rival.send_due() for rival in rivals))) == 3
    assert len(mail_server.mails) == 3


async def test_a_second_copy_has_the_same_message_id(
    mailer: Mailer, mail_server: MailServer, happen: Happen, database: DatabaseEngine
) -> None:
    await happen("aaaa")
    async with database.begin() as session:  # a mailer that is killed before it records anything
        [killed] = await mailer.outbox.lease(session, await database_now(session))
    assert await mailer.send_due() == 0  # its lease still holds
    await change(database, leased_until=0.0)
    assert await mailer.send_due() == 1
    [mail] = mail_server.mails
    assert f"Message-ID: {mail.message['Message-ID']}\r\n".encode() in killed.build().content


async def test_waits_while_the_server_is_away_and_then_tells_it_in_one_mail(
    mailer: Mailer,
    mail_server: MailServer,
    happen: Happen,
    session: AsyncSession,
    database: DatabaseEngine,
) -> None:
    await mail_server.stop()
    began = time.time()
    await happen("aaaa")
    assert await mailer.send_due() == 0
    [row] = await alerts(session)
    assert (row.state, row.tries) == (WAITING, 1)
    assert "SMTPConnectError" in row.error
    assert began + 50 < row.due_at < time.time() + 70
    await happen("aaaa", count=2004)
    async with database.begin() as writer:  # meanwhile the policy has inserted more alerts
        values = {"kind": "escalation", "ordinal": 1, "episode": 1, "count": 10, "since": 1.0}
        writer.add(
            ErrorAlert(group_id=row.group_id, created_at=0.0, due_at=0.0, state=WAITING, **values)
        )
    await change(database, due_at=0.0)
    await mail_server.start()
    assert await mailer.send_due() == 1
    assert sorted(row.state for row in await alerts(session)) == [MERGED, SENT]
    assert re.search(r"Count: +2,005 ", mail_server.mails[0].text)


async def test_a_poisoned_mail_is_dead_and_the_others_go_out(
    mailer: Mailer,
    mail_server: MailServer,
    happen: Happen,
    session: AsyncSession,
    database: DatabaseEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def poisoned(alert: Any, group: Any, *rest: Any, **more: Any) -> Any:
        if group.fingerprint == "aaaa":
            raise ValueError("a bad header")
        return build_message(alert, group, *rest, **more)

    monkeypatch.setattr(outbox, "build_message", poisoned)
    await happen("aaaa", "bbbb")
    for _ in range(4):
        await mailer.send_due()
        await change(database, due_at=0.0)
    assert [row.state for row in await alerts(session)] == [DEAD, SENT]
    assert DEAD == "aside"  # as in databases of earlier versions
    assert len(mail_server.mails) == 1


async def test_beyond_the_budget_comes_one_digest(
    mailer: Mailer, mail_server: MailServer, happen: Happen, database: DatabaseEngine
) -> None:
    await happen(*(f"{number:04}" for number in range(8)))
    assert await mailer.send_due() == 3
    await change(database, created_at=time.time() - 1000)
    assert await mailer.send_due() == 1
    assert "5 alerts about 5 errors" in mail_server.mails[-1].message["Subject"]
    assert await mailer.send_due() == 0


async def test_a_digest_does_not_count_against_the_budget(
    mailer: Mailer, happen: Happen, database: DatabaseEngine, session: AsyncSession
) -> None:
    await happen(*(f"{number:04}" for number in range(8)))
    await mailer.send_due()
    await change(database, created_at=time.time() - 1000)
    await mailer.send_due()
    assert [row.in_digest for row in await alerts(session)] == [False] * 3 + [True] * 5


@pytest.mark.slow
async def test_what_failed_in_a_digest_may_go_out_on_its_own(
    mailer: Mailer,
    mail_server: MailServer,
    happen: Happen,
    database: DatabaseEngine,
    session: AsyncSession,
) -> None:
    await happen(*(f"{number:04}" for number in range(5)))
    assert await mailer.send_due() == 3
    await change(database, created_at=time.time() - 1000)
    mail_server.replies["DATA"] = "451 later"
    assert await mailer.send_due() == 0
    assert [row.tries for row in await alerts(session)] == [0, 0, 0, 1, 1]
    mail_server.replies.clear()
    await change(database, due_at=0.0)
    async with database.begin() as writer:  # an hour later
        sent = ErrorAlert.sent_at.is_not(None)
        await writer.execute(update(ErrorAlert).where(sent).values(sent_at=time.time() - 4000))
    assert await mailer.send_due() == 2
    assert {row.in_digest for row in await alerts(session)} == {False}


async def test_a_digest_reads_no_reports(
    mailer: Mailer, happen: Happen, database: DatabaseEngine
) -> None:
    await happen(*(f"{number:04}" for number in range(8)))
    assert await mailer.send_due() == 3
    await change(database, created_at=time.time() - 1000)
    statements: list[str] = []
    async with database.begin() as writer:
        engine = writer.get_bind()
        event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        [digest] = await mailer.outbox.lease(writer, await database_now(writer))
    assert len(digest.ids) == 5
    assert "error_groups" in "".join(statements)
    assert "error_samples" not in "".join(statements)


async def test_a_mail_says_that_people_wrote_about_the_error(
    mailer: Mailer, mail_server: MailServer, happen: Happen, database: DatabaseEngine
) -> None:
    await happen("aaaa")
    async with database.begin() as session:
        text = ErrorFeedback(group_id=1, reference="abcdefgh", at=1.0, text="I pressed Buy.")
        session.add(text)
    assert await mailer.send_due() == 1
    assert re.search("Feedback: +people wrote about it once", mail_server.mails[0].text)
