"""From an error over HTTP to a mailbox: three processes, STARTTLS and a login, in full Unicode."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from quartapp.microblog.testing import StartServer
from tests.mailbox import Mailbox
from tests.reporting.mails.test_message import Words, parts

SERVE = str(Path(__file__).parents[3] / "tests" / "microblog" / "serve.py")
ACCOUNT = ("microblog@example.com", "the password of the account")


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    try:
        with Mailbox(tmp_path, *ACCOUNT) as made:
            yield made
    except FileNotFoundError:
        pytest.skip("no openssl: install it")


def test_an_error_over_http_arrives_by_starttls_and_login(
    live_server: StartServer, mailbox: Mailbox, tmp_path: Path
) -> None:
    settings = {
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(mailbox.port),
        "MAIL_USE_TLS": "true",
        "MAIL_USERNAME": ACCOUNT[0],
        "MAIL_PASSWORD": ACCOUNT[1],
        "MAIL_FROM": "Fehler für Zoë <zoë@example.com>",
        "MAIL_SUBJECT_PREFIX": "[Fehler \N{SNAKE}]",
        "ADMINS": "ops@bücher.example,zoë@example.com",
        "INBOX_URL": "https://blog.example/errors",
        "RELEASE": "Größe-1.0",
        "SSL_CERT_FILE": str(mailbox.trusted),  # the certificate that OpenSSL trusts
    }
    with live_server(SERVE, **settings) as server:
        page = httpx.get(f"{server.url}/straße/Zoë?für=alle", timeout=60)
        assert page.status_code == 500
        mailbox.wait_for(1)
        assert server.stop() == 0
        assert "Traceback" in server.output
        assert "UnicodeEncodeError" not in server.output
    [mail] = mailbox.mails
    assert (mail.over_tls, mail.username) == (True, ACCOUNT[0])
    assert mail.sender == "no-reply@127.0.0.1", "this server has no SMTPUTF8"
    assert mail.recipients == ("ops@xn--bcher-kva.example",)
    assert mail.message["From"] == "Fehler für Zoë <no-reply@127.0.0.1>"
    subject = "[Fehler \N{SNAKE}] NEW ValueError in microblog.boom.greet (#"
    assert mail.message["Subject"].startswith(subject)
    text, html = parts(mail.message)
    reference = re.search(r"Reference: +(\w{8})", text)
    assert reference
    assert reference[1] in page.text
    for part in (text, Words(html).text):
        assert "Größe von Zoë: \N{SNAKE}, " in part
        assert re.search(r"größe\s*=?\s*'Größe von Zoë: \N{SNAKE}'", part)
        assert "/straße/<name>" in part
        assert "Größe-1.0" in part
        assert reference[1] in part
        assert "https://blog.example/errors/1" in part or "/errors/1" in html
    assert "Größe von Zoë" in (tmp_path / "logs" / "microblog.log").read_text("utf-8")
