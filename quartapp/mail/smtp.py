"""One session with the mail server, and the outcome of each mail in it.

Every fault of a server becomes an `Outcome`, within seconds and without blocking the loop:
certificates are read in a thread, and every command and the batch as a whole have time limits.
"""

import asyncio
import functools
import socket
import ssl
import time
from collections.abc import Sequence

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from quartapp.mail.delivery import Mail, Outcome, Server
from quartapp.mail.strings import ascii_address, one_line

COMMAND_SECONDS = 10.0
MAIL_SECONDS = 60.0
BATCH_SECONDS = 50.0
"""After this time no further mail is begun, so that a batch ends within the lease of its mails."""

# Faults of servers, networks and certificates, but not bugs of ours, which must not be hidden.
_FAILURES = (SMTPException, OSError, TimeoutError, ValueError)


async def deliver(mails: Sequence[Mail], server: Server) -> list[Outcome]:
    """Send mails over one connection; an outcome for each, in their order. Never raises."""
    until = time.monotonic() + BATCH_SECONDS
    try:
        client = await _connect(server)
    except _FAILURES as error:
        return [Outcome(_text(error))] * len(mails)
    outcomes: list[Outcome] = []
    try:
        for mail in mails:
            outcomes.append(await _send(client, mail))
            if not client.is_connected or time.monotonic() >= until:
                break
        await _leave(client)
    finally:
        client.close()
    return outcomes + [Outcome(tried=False)] * (len(mails) - len(outcomes))


async def check(server: Server) -> str:
    """Connect and log in as for a mail, and quit; returns what is wrong, or ""."""
    try:
        client = await _connect(server)
    except _FAILURES as error:
        return _text(error)
    await _leave(client)
    client.close()
    return ""


async def _connect(server: Server) -> SMTP:
    context = server.context
    if context is None and (server.starttls or server.tls):
        # Reads some hundred certificates: tens of milliseconds for which no request should wait.
        make = functools.partial(ssl.create_default_context, cafile=server.ca_file)
        context = await asyncio.to_thread(make)
    client = SMTP(
        hostname=server.host,
        local_hostname=await asyncio.to_thread(own_name),
        port=server.port,
        username=server.username or None,
        password=server.password or None,
        timeout=server.timeout or COMMAND_SECONDS,
        use_tls=server.tls,
        # None would mean: only if the server offers it. An attacker in between could remove the
        # offer and read the password.
        start_tls=server.starttls,
        tls_context=context,
    )
    try:
        async with asyncio.timeout(MAIL_SECONDS):
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await _greet(client)
    except BaseException:
        client.close()
        raise
    return client


@functools.cache
def own_name() -> str:
    """The name with which this machine greets; the name of a host may be invalid in a greeting."""
    address = ascii_address(f"host@{socket.getfqdn()}")
    return address.rpartition("@")[2] if address else "localhost"


async def _greet(client: SMTP) -> None:
    """Ask for the server's extensions, which decide how addresses are written."""
    try:
        await client.ehlo()
    except SMTPHeloError:
        await client.helo()


async def _leave(client: SMTP) -> None:
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            await client.quit()
    except _FAILURES:
        client.close()


async def _send(client: SMTP, mail: Mail) -> Outcome:
    recipients, unreachable = _reachable(client, mail.recipients)
    utf8 = any(not recipient.isascii() for recipient in recipients)
    try:
        if not recipients:
            raise SMTPNotSupported(f"the server has no SMTPUTF8, which {unreachable[0]} needs")
        async with asyncio.timeout(MAIL_SECONDS):
            refused, _ = await client.sendmail(
                mail.sender, recipients, mail.content, mail_options=["SMTPUTF8"] if utf8 else []
            )
    except TimeoutError as error:
        client.close()
        return Outcome(_text(error))
    except _FAILURES as error:
        # Only the answer to the message itself is about this mail and not about all of them. A
        # connection that drops in the middle may be the fault of the mail or of the network.
        return Outcome(
            _text(error), rejected=isinstance(error, SMTPDataError) and error.code >= 500
        )
    left_out = [*unreachable, *(f"{name}: {reply.code}" for name, reply in refused.items())]
    return Outcome(note=one_line(f"not accepted for {', '.join(left_out)}") if left_out else "")


def _reachable(client: SMTP, recipients: Sequence[str]) -> tuple[list[str], list[str]]:
    """The recipients in a form that the server accepts, and those that have no such form."""
    utf8 = client.supports_extension("smtputf8")
    reachable: list[str] = []
    unreachable: list[str] = []
    for recipient in recipients:
        address = ascii_address(recipient) or (recipient if utf8 else None)
        if address is None:
            unreachable.append(recipient)
        else:
            reachable.append(address)
    return reachable, unreachable


def _text(error: Exception) -> str:
    if isinstance(error, SMTPRecipientsRefused):
        refusals = "; ".join(f"{r.recipient}: {r.code} {r.message}" for r in error.recipients)
        return one_line(f"recipients refused: {refusals}", 500)
    if isinstance(error, SMTPResponseException):
        return one_line(f"{type(error).__name__}: {error.code} {error.message}", 500)
    return one_line(f"{type(error).__name__}: {error}", 500)
