"""Sessions with real SMTP servers, with every kind of fault."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from quartapp.mail import outbox, smtp
from quartapp.mail.delivery import Mail, Server
from quartapp.mail.smtp import check, deliver
from quartapp.testing.mail import MailServer, certificate
from tests.mailing import greeting

MAIL = Mail("no-reply@example.com", ("ops@example.com",), b"Subject: hello\r\n\r\nhello\r\n")


def server_of(mail_server: MailServer, **more: Any) -> Server:
    return Server(mail_server.host, mail_server.port, **more)


@pytest.mark.parametrize(
    ("command", "reply", "rejected"),
    [
        ("MAIL", "421 go away", False),
        ("MAIL", "452 no space", False),
        ("MAIL", "550 you again", False),
        ("RCPT", "451 greylisted", False),
        ("RCPT", "550 no such user", False),
        ("DATA", "451 later", False),
        ("DATA", "554 spam", True),
        ("DATA", "drop", False),
    ],
)
async def test_a_refusal_is_kept_and_tried_again(
    mail_server: MailServer, command: str, reply: str, rejected: bool
) -> None:
    mail_server.replies[command] = reply
    [outcome] = await deliver([MAIL], server_of(mail_server))
    assert not outcome.is_sent
    assert outcome.rejected is rejected
    assert reply[4:] in outcome.error or reply == "drop"
    mail_server.replies.clear()
    [outcome] = await deliver([MAIL], server_of(mail_server))
    assert outcome.is_sent


@pytest.mark.slow
async def test_a_slow_batch_ends_before_another_mailer_takes_it_over(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # connecting, the batch, its last mail, and twice as much to build the mails and record outcomes
    assert smtp.BATCH_SECONDS + 4 * smtp.MAIL_SECONDS < outbox.LEASE
    monkeypatch.setattr(smtp, "BATCH_SECONDS", 0.1)
    mail_server.delay = 0.05
    outcomes = await deliver([MAIL] * 4, server_of(mail_server))
    assert [outcome.is_sent for outcome in outcomes] == [True, False, False, False]
    assert [outcome.tried for outcome in outcomes] == [True, False, False, False]


@pytest.mark.slow
async def test_a_mute_server_costs_ten_seconds_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert smtp.COMMAND_SECONDS == 10
    monkeypatch.setattr(smtp, "COMMAND_SECONDS", 0.2)
    async with greeting(b"") as mute:
        async with asyncio.timeout(60):
            [outcome] = await deliver([MAIL], mute)
        assert not outcome.is_sent
        assert "imed out" in outcome.error


async def test_never_logs_in_without_the_encryption_that_was_asked_for(
    mail_server: MailServer,
) -> None:
    """The server offers no STARTTLS: an attacker may have removed the offer from its greeting."""
    server = server_of(mail_server, starttls=True, username="susan", password="canary")
    [outcome] = await deliver([MAIL], server)
    assert "STARTTLS" in outcome.error
    assert not outcome.rejected  # the mail waits until the server or the setting is right
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


async def test_a_wrong_password_is_reported_without_the_password(
    secure: tuple[MailServer, str],
) -> None:
    mail_server, trusted = secure
    server = server_of(
        mail_server, starttls=True, username="susan", password="hunter2", ca_file=trusted
    )
    [outcome] = await deliver([MAIL], server)
    assert not outcome.rejected  # the mail waits until the server or the setting is right
    assert "SMTPAuthenticationError: 535" in outcome.error
    assert "hunter2" not in outcome.error + repr(server)


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    secure: tuple[MailServer, str],
) -> None:
    mail_server, _ = secure
    server = server_of(mail_server, starttls=True, username="susan", password="canary")
    [outcome] = await deliver([MAIL], server)
    assert not outcome.rejected  # the mail waits until the server or the setting is right
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
    assert not outcome.rejected  # the mail waits until the server or the setting is right
    assert "SMTPUTF8" in outcome.error


async def test_an_address_that_needs_smtputf8_is_reached_where_there_is_smtputf8() -> None:
    made = MailServer()
    await made.start(utf8=True)
    alone = Mail(MAIL.sender, ("jürgen@example.com",), MAIL.content)
    [outcome] = await deliver([alone], server_of(made))
    assert outcome.is_sent, outcome.error
    assert made.mails[0].recipients == ("jürgen@example.com",)
    await made.stop()
