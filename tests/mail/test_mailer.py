"""The outbox of an example application, with a real SMTP server that can be made to fail."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from email.message import EmailMessage
from functools import partial

import pytest
from sqlalchemy import MetaData, String, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp.database import DatabaseEngine
from quartapp.database.dialect import database_now
from quartapp.database.types import NAMING_CONVENTION
from quartapp.mail import outbox
from quartapp.mail import sender as sender_module
from quartapp.mail.delivery import Mail, Outcome, Server
from quartapp.mail.mailer import Mailer
from quartapp.mail.outbox import OutboxRow, Outgoing
from quartapp.testing.mail import MailServer


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Welcome(OutboxRow, Base):
    """The mail by which a library welcomes a new reader."""

    __tablename__ = "welcomes"

    reader: Mapped[str] = mapped_column(String(80))


class Welcomes:
    table: type[OutboxRow] = Welcome

    async def lease(self, session: AsyncSession, now: float) -> list[Outgoing[Mail]]:
        rows = await outbox.select_due(session, Welcome, now)
        outbox.lease(rows, now)
        return [Outgoing((row.id,), partial(build, row.id, row.reader)) for row in rows]


def build(number: int, reader: str) -> Mail:
    message = EmailMessage()
    message["From"] = "library@example.com"
    message["To"] = f"{reader}@example.com"
    message["Message-ID"] = f"<welcome.{number}@example.com>"
    message["Subject"] = f"Welcome {reader}"  # raises ValueError for a line feed
    message.set_content("Take any book.")
    return Mail.of(message, (f"{reader}@example.com",))


@pytest.fixture
async def database(each_database_url: str) -> AsyncIterator[DatabaseEngine]:
    made = DatabaseEngine(each_database_url)
    async with made.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield made
    await made.dispose()


@pytest.fixture
def mailer(database: DatabaseEngine, mail_server: MailServer) -> Mailer:
    return Mailer(database, Server(mail_server.host, mail_server.port), Welcomes())


async def welcome(database: DatabaseEngine, *readers: str) -> None:
    async with database.begin() as session:
        now = await database_now(session)
        session.add_all(Welcome(reader=reader, created_at=now, due_at=now) for reader in readers)


async def change(database: DatabaseEngine, **values: float) -> None:
    async with database.begin() as session:
        await session.execute(update(Welcome).values(**values))


async def rows(database: DatabaseEngine) -> Sequence[Welcome]:
    async with database.session(write=False) as session:
        return (await session.scalars(select(Welcome).order_by(Welcome.id))).all()


async def test_sends_each_mail_once(
    database: DatabaseEngine, mailer: Mailer, mail_server: MailServer
) -> None:
    await welcome(database, "susan", "zoë")
    assert [await mailer.send_due(), await mailer.send_due()] == [1, 0]
    [susan, zoe] = await rows(database)
    assert (susan.state, susan.tries, susan.error) == (outbox.SENT, 0, "")
    assert susan.sent_at is not None
    assert abs(susan.sent_at - time.time()) < 60
    assert (zoe.state, zoe.tries) == (outbox.WAITING, 1)  # this server has no SMTPUTF8
    assert [mail.message["Subject"] for mail in mail_server.mails] == ["Welcome susan"]


@pytest.mark.slow
async def test_two_mailers_send_each_mail_once(
    database: DatabaseEngine, mailer: Mailer, mail_server: MailServer
) -> None:
    await welcome(database, "susan", "david", "mary")
    mail_server.delay = 0.05
    rivals = [mailer, Mailer(database, mailer.server, Welcomes())]
    assert sum(await asyncio.gather(*(rival.send_due() for rival in rivals))) == 3
    assert len(mail_server.mails) == 3


@pytest.mark.slow
async def test_a_mailer_waits_for_the_lease_of_another(database: DatabaseEngine) -> None:
    async def lease() -> list[Outgoing[Mail]]:
        async with database.begin() as session:
            return await Welcomes().lease(session, time.time())

    await welcome(database, "susan")
    async with database.begin() as session:
        rows = await outbox.select_due(session, Welcome, time.time())
        rival = asyncio.create_task(lease())
        await asyncio.wait([rival], timeout=0.3)
        outbox.lease(rows, time.time())
    assert await rival == []


async def test_one_killed_in_the_middle_is_followed_by_the_same_mail(
    database: DatabaseEngine,
    mailer: Mailer,
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def killed(*_: object) -> None:
        raise KeyboardInterrupt

    await welcome(database, "susan")
    with monkeypatch.context() as patch:
        patch.setattr(sender_module, "record_outcomes", killed)
        with pytest.raises(KeyboardInterrupt):
            await mailer.send_due()
    assert await mailer.send_due() == 0  # the lease still holds
    await change(database, leased_until=0.0)
    assert await mailer.send_due() == 1
    assert len({mail.message["Message-ID"] for mail in mail_server.mails}) == 1
    assert len(mail_server.mails) == 2


async def test_waits_while_the_server_is_down(
    database: DatabaseEngine, mailer: Mailer, mail_server: MailServer
) -> None:
    await mail_server.stop()
    began = time.time()
    await welcome(database, "susan")
    assert await mailer.send_due() == 0
    [row] = await rows(database)
    assert (row.state, row.tries) == (outbox.WAITING, 1)
    assert "SMTPConnectError" in row.error
    assert began + 50 < row.due_at < time.time() + 70
    assert await mailer.send_due() == 0
    await change(database, due_at=0.0)
    await mail_server.start()
    assert await mailer.send_due() == 1


@pytest.mark.slow
async def test_nothing_is_dropped_however_long_the_server_is_down(
    database: DatabaseEngine, mailer: Mailer, mail_server: MailServer
) -> None:
    await mail_server.stop()
    await welcome(database, "susan", "david")
    for _ in range(20):  # more than a day of tries
        assert await mailer.send_due() == 0
        await change(database, due_at=0.0)
    assert {row.state for row in await rows(database)} == {outbox.WAITING}
    await mail_server.start()
    assert await mailer.send_due() == 2


def test_backs_off_for_two_hours_at_the_most() -> None:
    minutes = [outbox.backoff(tries) / 60 for tries in range(1, 12)]
    expected = [1, 2, 5, 15, 30, 60, *[120] * 5]
    for actual, wanted in zip(minutes, expected, strict=True):
        assert 0.9 * wanted <= actual <= 1.1 * wanted


async def test_a_mail_that_cannot_be_built_is_dead_and_the_others_go_out(
    database: DatabaseEngine, mailer: Mailer, mail_server: MailServer
) -> None:
    await welcome(database, "susan\n", "david")
    for _ in range(4):
        await mailer.send_due()
        await change(database, due_at=0.0)
    [susan, david] = await rows(database)
    assert (susan.state, susan.tries) == (outbox.DEAD, 3)
    assert "could not be built: ValueError" in susan.error
    assert david.state == outbox.SENT
    assert len(mail_server.mails) == 1


async def test_a_mail_that_the_server_rejects_is_dead_after_three_tries(
    database: DatabaseEngine, mailer: Mailer, mail_server: MailServer
) -> None:
    mail_server.replies["DATA"] = "554 spam"
    await welcome(database, "susan")
    for state in (outbox.WAITING, outbox.WAITING, outbox.DEAD):
        await change(database, due_at=0.0)
        await mailer.send_due()
        [row] = await rows(database)
        assert row.state == state
    assert "554 spam" in row.error


async def test_a_rejected_mail_about_several_rows_kills_none_of_them(
    database: DatabaseEngine, mailer: Mailer, mail_server: MailServer
) -> None:
    class OneForAll(Welcomes):
        async def lease(self, session: AsyncSession, now: float) -> list[Outgoing[Mail]]:
            mails = await super().lease(session, now)
            ids = tuple(row_id for mail in mails for row_id in mail.ids)
            return [Outgoing(ids, mails[0].build)] if mails else []

    mail_server.replies["DATA"] = "554 spam"
    mailer.outbox = OneForAll()
    await welcome(database, "susan", "david")
    for _ in range(4):
        assert await mailer.send_due() == 0
        await change(database, due_at=0.0)
    assert {(row.state, row.tries) for row in await rows(database)} == {(outbox.WAITING, 4)}
    mail_server.replies.clear()
    assert await mailer.send_due() == 1
    assert {row.state for row in await rows(database)} == {outbox.SENT}


@pytest.mark.parametrize("column", ["due_at", "leased_until"])
async def test_a_clock_that_was_set_back_keeps_no_mail_waiting(
    column: str, database: DatabaseEngine, mailer: Mailer
) -> None:
    await welcome(database, "susan")
    await change(database, **{column: time.time() + 86400})
    assert await mailer.send_due() == 1


async def test_a_lease_counts_for_a_mailer_that_read_the_clock_before(
    database: DatabaseEngine,
) -> None:
    await welcome(database, "susan")
    async with database.begin() as session:
        now = await database_now(session)
        assert await Welcomes().lease(session, now + 5)
    async with database.begin() as session:
        assert await Welcomes().lease(session, now) == []


@pytest.mark.slow
async def test_a_slow_server_does_not_stop_the_loop(
    database: DatabaseEngine, mailer: Mailer, mail_server: MailServer
) -> None:
    mail_server.delay = 0.3
    await welcome(database, "susan", "david", "mary")
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
    # The tutorial's handler would block the loop for the whole 2.7 seconds.
    assert max(gaps) < (time.perf_counter() - began) / 2


async def test_a_row_that_was_deleted_meanwhile_is_no_error(database: DatabaseEngine) -> None:
    await welcome(database, "susan")
    async with database.begin() as session:
        now = await database_now(session)
        outcomes = [(2, Outcome()), (1, Outcome())]
        await outbox.record_outcomes(session, Welcome, outcomes, now)
    assert [row.state for row in await rows(database)] == [outbox.SENT]


async def test_the_log_names_no_person(
    database: DatabaseEngine,
    mailer: Mailer,
    mail_server: MailServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await welcome(database, "susan")
    mail_server.replies["RCPT"] = "550 5.1.1 <susan@example.com> no such user"
    assert await mailer.send_due() == 0
    assert "550 5.1.1 <[hidden]@example.com> no such user" in caplog.text
    assert "susan" not in caplog.text
    async with database.session(write=False) as session:
        assert "susan@example.com" in str(await session.scalar(select(Welcome.error)))
