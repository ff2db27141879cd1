"""The application's mails reach the test's server, without a word of configuration."""

import asyncio
import socket
from pathlib import Path

import pytest
from quart import Quart

from quartapp.mail.delivery import Mail, Server
from quartapp.mail.smtp import deliver
from quartapp.reporting import Reporting
from quartapp.testing import Client, MailServer, send_error_mails

ELSEWHERE = {"MAIL_SERVER": "smtp.invalid", "MAIL_USE_TLS": True, "ADMINS": ["ops@example.com"]}


@pytest.fixture(params=[{}, ELSEWHERE])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Quart:
    app = Quart("theirs", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    app.config.update(request.param)
    Reporting(app)

    @app.get("/fail")
    async def fail() -> str:
        raise LookupError("nothing here")

    return app


async def test_an_error_mail_arrives(client: Client, app: Quart, mail_server: MailServer) -> None:
    assert (await client.get("/fail")).status_code == 500
    await send_error_mails(client)
    [mail] = await mail_server.receive()
    assert "LookupError" in mail.message["Subject"]
    expected = "ops@example.com" if app.config.get("MAIL_SERVER") else "admin@example.com"
    assert mail.recipients == (expected,)


async def test_a_server_of_the_test_itself_stays(mail_server: MailServer) -> None:
    other = MailServer()
    await other.start()
    mail = Mail("a@example.com", ("b@example.com",), b"Subject: x\r\n\r\nx")
    await deliver([mail], Server(other.host, other.port))
    await deliver([mail], Server("smtp.invalid"))
    await other.stop()
    assert (len(other.mails), len(mail_server.mails)) == (1, 1)


async def test_mails_that_do_not_come_are_an_error(mail_server: MailServer) -> None:
    with pytest.raises(AssertionError, match="0 of 2 mails came within 0 s; 0 were begun"):
        await mail_server.receive(2, seconds=0)


@pytest.mark.parametrize("steps", range(6))
async def test_a_mail_server_that_stops_closes_what_has_just_connected(steps: int) -> None:
    server = MailServer()
    await server.start()
    with socket.create_connection((server.host, server.port)) as client:
        for _ in range(steps):
            await asyncio.sleep(0)
        await server.stop()
        client.setblocking(False)
        try:
            while client.recv(1000):
                pass
            is_closed = True
        except BlockingIOError:
            is_closed = False
        except ConnectionResetError:  # the kernel's, of what was never accepted
            is_closed = True
    assert is_closed
