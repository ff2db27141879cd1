"""From the outbox to the operators, on a real SMTP server that does everything wrong in turn."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import Database
from quartapp.database.dialect import database_now
from quartapp.mail import smtp as transport
from quartapp.mail.smtp import Mail, Server, check, deliver
from quartapp.reporting.alerts import evaluation
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting import store
from quartapp.reporting.counting.aggregate import Aggregate
from quartapp.reporting.mails import mailer as mailer_module
from quartapp.reporting.mails import outbox
from quartapp.reporting.mails.mailer import Mailer
from quartapp.reporting.mails.message import Letterhead, build_message
from quartapp.reporting.report import Report
from quartapp.reporting.tables import ErrorAlert
from quartapp.testing.mail import MailServer, certificate
from tests.mailing import greeting

LETTERHEAD = Letterhead(
    sender="no-reply@example.com",
    recipients=("ops@example.com",),
    app="microblog",
    domain="example.com",
)
RULES = Rules(host="alpha", limits=Limits(initial_delay=0.0, budget=3), mails=True)
MAIL = Mail("no-reply@example.com", ("ops@example.com",), b"Subject: hello\r\n\r\nhello\r\n")


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


def server_of(mail_server: MailServer, **more: Any) -> Server:
    return Server(mail_server.host, mail_server.port, **more)


@pytest.fixture
def mailer(database: Database, mail_server: MailServer) -> Mailer:
    return Mailer(database, server_of(mail_server), LETTERHEAD, RULES.limits)


Happen = Callable[..., Any]


@pytest.fixture
def happen(database: Database) -> Happen:
    """Let groups of errors happen, and put down the alerts about them."""

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


async def make_due(database: Database) -> None:
    async with database.begin() as session:
        await session.execute(update(ErrorAlert).values(due_at=0.0))


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
    assert {row.state for row in await alerts(session)} == {"sent"}


async def test_rivals_send_each_alert_once(
    database: Database, mailer: Mailer, mail_server: MailServer, happen: Happen
) -> None:
    await happen("aaaa", "bbbb", "cccc")
    rivals = [Mailer(database, mailer.server, LETTERHEAD, RULES.limits) for _ in range(4)]
    assert sum(await asyncio.gather(*(rival.send_due() for rival in rivals))) == 3
    assert len(mail_server.mails) == 3


async def test_one_killed_in_the_middle_is_followed_by_the_same_mail(
    mailer: Mailer,
    mail_server: MailServer,
    happen: Happen,
    monkeypatch: pytest.MonkeyPatch,
    database: Database,
) -> None:
    await happen("aaaa")
    record_outcomes = outbox.record_outcomes

    async def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(outbox, "record_outcomes", killed)
    with pytest.raises(KeyboardInterrupt):
        await mailer.send_due()
    monkeypatch.setattr(outbox, "record_outcomes", record_outcomes)
    assert await mailer.send_due() == 0  # the lease still holds
    async with database.begin() as writer:
        await writer.execute(update(ErrorAlert).values(leased_until=0.0))
    assert await mailer.send_due() == 1
    assert len({mail.message["Message-ID"] for mail in mail_server.mails}) == 1
    assert len(mail_server.mails) == 2


async def test_waits_while_the_server_is_away_and_then_tells_it_in_one_mail(
    mailer: Mailer,
    mail_server: MailServer,
    happen: Happen,
    session: AsyncSession,
    database: Database,
) -> None:
    await mail_server.stop()
    began = time.time()
    await happen("aaaa")
    assert await mailer.send_due() == 0
    [row] = await alerts(session)
    assert (row.state, row.tries) == ("waiting", 1)
    assert "SMTPConnectError" in row.error
    assert began + 50 < row.due_at < time.time() + 70
    await happen("aaaa", count=2004)
    async with database.begin() as writer:  # meanwhile the policy had more to say
        values = {"kind": "escalation", "ordinal": 1, "episode": 1, "count": 10, "since": 1.0}
        writer.add(
            ErrorAlert(group_id=row.group_id, created_at=0.0, due_at=0.0, state="waiting", **values)
        )
    await make_due(database)
    await mail_server.start()
    assert await mailer.send_due() == 1
    assert sorted(row.state for row in await alerts(session)) == ["merged", "sent"]
    assert re.search(r"Count: +2,005 ", mail_server.mails[0].text)


def test_backs_off_for_two_hours_at_the_most() -> None:
    minutes = [outbox.backoff(tries) / 60 for tries in range(1, 12)]
    expected = [1, 2, 5, 15, 30, 60, *[120] * 5]
    for actual, wanted in zip(minutes, expected, strict=True):
        assert 0.9 * wanted <= actual <= 1.1 * wanted


@pytest.mark.parametrize(
    ("command", "reply", "permanent"),
    [
        ("MAIL", "421 go away", False),
        ("MAIL", "452 no space", False),
        ("MAIL", "550 you again", True),
        ("RCPT", "451 greylisted", False),
        ("RCPT", "550 no such user", True),
        ("DATA", "451 later", False),
        ("DATA", "554 spam", True),
        ("DATA", "drop", False),
    ],
)
async def test_a_refusal_is_kept_and_tried_again(
    mail_server: MailServer, command: str, reply: str, permanent: bool
) -> None:
    mail_server.replies[command] = reply
    [outcome] = await deliver([MAIL], server_of(mail_server))
    assert not outcome.is_sent
    assert outcome.permanent is permanent
    assert reply[4:] in outcome.error or reply == "drop"
    mail_server.replies.clear()
    [outcome] = await deliver([MAIL], server_of(mail_server))
    assert outcome.is_sent


async def test_a_poisoned_mail_is_put_aside_and_the_others_go_out(
    mailer: Mailer,
    mail_server: MailServer,
    happen: Happen,
    session: AsyncSession,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = build_message

    def poisoned(alert: Any, group: Any, *rest: Any, **more: Any) -> Any:
        if group.fingerprint == "aaaa":
            raise ValueError("a bad header")
        return build(alert, group, *rest, **more)

    monkeypatch.setattr(mailer_module, "build_message", poisoned)
    await happen("aaaa", "bbbb")
    for _ in range(4):
        await mailer.send_due()
        await make_due(database)
    assert [row.state for row in await alerts(session)] == ["aside", "sent"]
    assert len(mail_server.mails) == 1


async def test_beyond_the_budget_comes_one_digest(
    mailer: Mailer, mail_server: MailServer, happen: Happen, database: Database
) -> None:
    await happen(*(f"{number:04}" for number in range(8)))
    assert await mailer.send_due() == 3
    async with database.begin() as writer:
        await writer.execute(update(ErrorAlert).values(created_at=time.time() - 1000))
    assert await mailer.send_due() == 1
    assert "5 alerts about 5 errors" in mail_server.mails[-1].message["Subject"]
    assert await mailer.send_due() == 0


async def test_a_digest_reads_no_reports(
    mailer: Mailer, mail_server: MailServer, happen: Happen, database: Database
) -> None:
    await happen(*(f"{number:04}" for number in range(8)))
    assert await mailer.send_due() == 3
    async with database.begin() as writer:
        await writer.execute(update(ErrorAlert).values(created_at=time.time() - 1000))
        leased = await outbox.lease(writer, RULES.limits, await database_now(writer))
    assert len(leased.digest) == 5
    assert {letter.report for letter in leased.digest} == {None}


@pytest.mark.parametrize("column", ["due_at", "leased_until"])
async def test_a_clock_that_was_set_back_keeps_no_mail_waiting(
    column: str, mailer: Mailer, mail_server: MailServer, happen: Happen, database: Database
) -> None:
    await happen("aaaa")
    async with database.begin() as writer:
        await writer.execute(update(ErrorAlert).values({column: time.time() + 86400}))
    assert await mailer.send_due() == 1


async def test_a_lease_counts_for_a_rival_that_looked_at_the_clock_before(
    happen: Happen, database: Database
) -> None:
    await happen("aaaa")
    async with database.begin() as writer:
        now = await database_now(writer)
        assert (await outbox.lease(writer, RULES.limits, now + 5)).single
    async with database.begin() as writer:
        assert (await outbox.lease(writer, RULES.limits, now)) == outbox.Lease()


async def test_a_slow_batch_ends_before_another_mailer_takes_it_over(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a connection and the last of a batch, and the same again for the digest behind it
    assert transport._BATCH_SECONDS + 4 * transport._MAIL_SECONDS < outbox.LEASE
    monkeypatch.setattr(transport, "_BATCH_SECONDS", 0.1)
    mail_server.delay = 0.05
    outcomes = await deliver([MAIL] * 4, server_of(mail_server))
    assert [outcome.is_sent for outcome in outcomes] == [True, False, False, False]
    assert [outcome.tried for outcome in outcomes] == [True, False, False, False]


async def test_a_mute_server_costs_ten_seconds_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert transport.COMMAND_SECONDS == 10
    monkeypatch.setattr(transport, "COMMAND_SECONDS", 0.2)
    async with greeting(b"") as mute:
        async with asyncio.timeout(60):
            [outcome] = await deliver([MAIL], mute)
        assert not outcome.is_sent
        assert "imed out" in outcome.error


async def test_never_logs_in_without_the_encryption_that_was_asked_for(
    mail_server: MailServer,
) -> None:
    """The server offers no STARTTLS: somebody may have taken the offer out of its greeting."""
    server = server_of(mail_server, starttls=True, username="susan", password="canary")
    [outcome] = await deliver([MAIL], server)
    assert "STARTTLS" in outcome.error
    assert outcome.permanent
    assert mail_server.logins == []
    assert mail_server.attempts == 0


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[MailServer, str]]:
    try:
        context, trusted = certificate(tmp_path)
    except FileNotFoundError:
        pytest.skip("no openssl: install it")
    made = MailServer()
    await made.start(tls=context, login=("susan", "canary"))
    yield made, str(trusted)
    await made.stop()


async def test_encrypts_and_logs_in(secure: tuple[MailServer, str]) -> None:
    mail_server, trusted = secure
    server = server_of(
        mail_server, starttls=True, username="susan", password="canary", ca_file=trusted
    )
    [outcome] = await deliver([MAIL], server)
    assert outcome.is_sent, outcome.error
    assert (mail_server.mails[0].over_tls, mail_server.mails[0].username) == (True, "susan")
    assert await check(server) == ""


async def test_a_wrong_password_is_a_permanent_refusal_without_the_password(
    secure: tuple[MailServer, str],
) -> None:
    mail_server, trusted = secure
    server = server_of(
        mail_server, starttls=True, username="susan", password="hunter2", ca_file=trusted
    )
    [outcome] = await deliver([MAIL], server)
    assert outcome.permanent
    assert "SMTPAuthenticationError: 535" in outcome.error
    assert "hunter2" not in outcome.error + repr(server)


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    secure: tuple[MailServer, str],
) -> None:
    mail_server, _ = secure
    server = server_of(mail_server, starttls=True, username="susan", password="canary")
    [outcome] = await deliver([MAIL], server)
    assert outcome.permanent
    assert "certificate" in outcome.error.lower()
    assert mail_server.logins == []


async def test_an_address_that_needs_smtputf8_does_not_keep_the_others_waiting(
    mail_server: MailServer,
) -> None:
    both = Mail(MAIL.sender, ("jürgen@example.com", "ops@münchen.example"), MAIL.content)
    [outcome] = await deliver([both], server_of(mail_server))
    assert outcome.is_sent
    assert "jürgen@example.com" in outcome.note
    assert mail_server.mails[0].recipients == ("ops@xn--mnchen-3ya.example",)
    alone = Mail(MAIL.sender, ("jürgen@example.com",), MAIL.content)
    [outcome] = await deliver([alone], server_of(mail_server))
    assert outcome.permanent
    assert "SMTPUTF8" in outcome.error


async def test_an_address_that_needs_smtputf8_is_reached_where_there_is_smtputf8() -> None:
    made = MailServer()
    await made.start(utf8=True)
    alone = Mail(MAIL.sender, ("jürgen@example.com",), MAIL.content)
    [outcome] = await deliver([alone], server_of(made))
    assert outcome.is_sent, outcome.error
    assert made.mails[0].recipients == ("jürgen@example.com",)
    await made.stop()


async def test_a_slow_server_does_not_stop_the_loop(
    mailer: Mailer, mail_server: MailServer, happen: Happen
) -> None:
    mail_server.delay = 0.3
    await happen("aaaa", "bbbb", "cccc")
    gaps: list[float] = []

    async def heartbeat() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - last)
            last = time.perf_counter()

    beating = asyncio.create_task(heartbeat())
    began = time.perf_counter()
    assert await mailer.send_due() == 3
    beating.cancel()
    # The tutorial's handler would stop it for all of the 2.7 seconds.
    assert max(gaps) < (time.perf_counter() - began) / 2


async def test_nothing_is_dropped_however_long_the_server_is_away(
    mailer: Mailer,
    mail_server: MailServer,
    happen: Happen,
    session: AsyncSession,
    database: Database,
) -> None:
    await mail_server.stop()
    await happen("aaaa", "bbbb")
    for _ in range(20):  # more than a day of tries
        assert await mailer.send_due() == 0
        await make_due(database)
    assert {row.state for row in await alerts(session)} == {"waiting"}
    await mail_server.start()
    assert await mailer.send_due() == 2
