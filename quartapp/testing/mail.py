"""A real SMTP server for tests, on a free port, that can be made to misbehave."""

import asyncio
import email
import email.policy
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult


@dataclass(frozen=True, slots=True)
class Received:
    """A mail that the server accepted: its envelope and its message."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    over_tls: bool
    username: str

    @property
    def text(self) -> str:
        """The plain text of the mail, decoded."""
        body = self.message.get_body(("plain",))
        return str(body.get_content()) if body else ""


@dataclass(slots=True)
class MailServer:
    """`mails` has the accepted mails. `replies` replace the acceptance of a command:
    `{"RCPT": "550 no such user", "DATA": "451 later"}`. It waits `delay` seconds before each reply.

    `attempts` is the number of mails that were begun, `logins` the names that tried to log in.
    """

    host: str = "127.0.0.1"
    port: int = 0
    delay: float = 0.0
    replies: dict[str, str] = field(default_factory=dict)
    mails: list[Received] = field(default_factory=list)
    attempts: int = 0
    logins: list[str] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _conversations: list[SMTP] = field(default_factory=list)

    async def start(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        utf8: bool = False,
    ) -> None:
        """Listen. With `tls` STARTTLS is required, with `login` this name and password."""

        def authenticate(_server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> Any:
            name, password = data.login.decode(), data.password.decode()
            self.logins.append(name)
            accepted = (name, password) == login
            return AuthResult(success=accepted, handled=accepted, auth_data=name)

        def protocol() -> SMTP:
            made = SMTP(
                _Handler(self),
                hostname="mail.test",
                tls_context=tls,
                require_starttls=tls is not None,
                auth_required=login is not None,
                auth_require_tls=tls is not None,
                authenticator=authenticate if login else None,
                enable_SMTPUTF8=utf8,
            )
            self._conversations.append(made)
            return made

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(protocol, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def receive(self, count: int = 1, seconds: float = 15) -> list[Received]:
        """Wait until there are so many mails, and return them. Raises AssertionError."""
        end = time.monotonic() + seconds
        while len(self.mails) < count:
            if time.monotonic() > end:
                raise AssertionError(
                    f"{len(self.mails)} of {count} mails came within {seconds:g} s; "
                    f"{self.attempts} were begun"
                )
            await asyncio.sleep(0.01)
        return self.mails

    async def stop(self) -> None:
        """Stop listening, so that connections are refused. `start` uses the same port again."""
        server, self._server = self._server, None
        if server is not None:
            # First what has just been accepted gets its transport: asyncio would forget to close it
            # (python/cpython#109564).
            for listener in server.sockets:
                asyncio.get_running_loop().remove_reader(listener.fileno())
            for _ in range(5):
                await asyncio.sleep(0)
            server.close()
        for conversation in self._conversations:
            if conversation.transport is not None:
                conversation.transport.close()
        self._conversations.clear()
        await asyncio.sleep(0.01)


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self._mail_server = server

    async def _reply(self, command: str) -> str | None:
        await asyncio.sleep(self._mail_server.delay)
        return self._mail_server.replies.get(command)

    async def handle_MAIL(
        self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self._mail_server.attempts += 1
        if reply := await self._reply("MAIL"):
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        reply = self._mail_server.replies.get(f"RCPT {address}") or await self._reply("RCPT")
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        reply = await self._reply("DATA")
        if reply == "drop":
            server.transport.abort()
            return "421 gone"
        if reply:
            return reply
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self._mail_server.mails.append(
            Received(
                envelope.mail_from,
                tuple(envelope.rcpt_tos),
                message,
                over_tls=session.ssl is not None,
                username=str(session.auth_data or ""),
            )
        )
        return "250 OK"


def certificate(folder: Path, name: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context with a new certificate for an IP address, and the certificate file
    that a client has to trust. Raises FileNotFoundError without the program openssl.
    """
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-subj /CN={name} -addext subjectAltName=IP:{name}"
    )
    subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True
    )
    return server_context(cert, key), cert


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """A server's TLS context for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
