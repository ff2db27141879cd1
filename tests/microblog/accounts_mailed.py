"""The microblog with a mail server for account mails, which tests send when they want to."""

import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from quartapp.microblog import accounts
from quartapp.microblog.config import Settings
from quartapp.testing.mail import MailServer

SITE = "https://blog.example"

Send: TypeAlias = Callable[[], Awaitable[int]]


def mailed(
    settings: Settings, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The settings with this mail server. Nothing is sent before the test sends it."""
    monkeypatch.setattr(accounts, "EVERY", 3600.0)
    more = {
        "mail_server": "127.0.0.1",
        "mail_port": mail_server.port,
        "mail_from": "microblog@blog.example",
        "admins": ("ops@example.com",),
        "public_url": SITE,
        "contact": "help@blog.example",
        "email_confirmation": "soft",
    }
    return settings.model_copy(update=more)


def link_in(mail_server: MailServer) -> str:
    """The path of the link in the last mail, the same in its text and in its HTML."""
    plain, html = (part.get_content() for part in mail_server.mails[-1].message.iter_parts())
    [path] = re.findall(rf"^{SITE}(/\S+)\r?$", plain, re.MULTILINE)
    assert f'href="{SITE}{path}"' in html
    return str(path)
