"""What all mails share: nothing that people typed can break a header or the HTML."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from quartapp.mail.message import addressed, domain_of, fill, render, templates, token

NOW = 1_790_000_000.0


def sent(sender: str, *recipients: str) -> tuple[str, str]:
    message = addressed(sender, recipients, name="Shop\r\nBcc: x", domain="shop.example", now=NOW)
    fill(message, "text", "<p>html</p>")
    lines = message.as_bytes().split(b"\r\n")
    assert not any(line.lower().startswith(b"bcc") for line in lines)
    return str(message["From"]), str(message["To"])


def test_a_sender_that_cannot_be_written_is_replaced() -> None:
    assert sent("shop@shop.example", "a@b.example")[0] == '"Shop Bcc: x" <shop@shop.example>'
    assert sent("Us <us@shop.example>", "a@b.example")[0] == "Us <us@shop.example>"
    for sender in ("", "us", "ü@shop.example"):
        assert "no-reply@shop.example" in sent(sender, "a@b.example")[0]


def test_a_recipient_that_needs_smtputf8_is_in_the_envelope_alone() -> None:
    assert sent("us@shop.example", "ü@b.example")[1] == "undisclosed-recipients:;"
    assert sent("us@shop.example", "a@exämple.com")[1] == "a@xn--exmple-cua.com"


def test_names_become_parts_of_a_message_id() -> None:
    assert [domain_of(name) for name in ("shop.example", "a b", "")] == [
        *("shop.example", "localhost", "localhost")
    ]
    assert token("a b\r\n<c>") == "a-b-c"


def test_html_is_escaped_and_an_unknown_name_is_an_error(tmp_path: Path) -> None:
    page = '{% extends "page.html" %}{% block title %}{{ who }}{% endblock %}'
    (tmp_path / "mail.html").write_text(page)
    (tmp_path / "mail.txt").write_text("{{ who }}")
    environment = templates(tmp_path)
    assert "<title>&lt;b&gt;</title>" in render(environment, "mail.html", who="<b>\u202e")
    assert render(environment, "mail.txt", who="<b>\u202e") == "<b>"
    with pytest.raises(UndefinedError):
        render(environment, "mail.txt")
