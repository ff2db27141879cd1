"""Mails of an application under test go to the test's own server, whatever is configured."""

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from quartapp.mail import smtp
from quartapp.mail.delivery import Server
from quartapp.mail.settings import MailSettings
from quartapp.reporting.pipeline import Pipeline
from quartapp.testing.mail import MailServer

LOOPBACK = {"127.0.0.1", "::1"}
ADMIN = "admin@example.com"


async def send_error_mails(client: Any) -> None:
    """Count and mail now the errors that an application with `quartapp.reporting` has recorded.

    By itself it does so every second. `client` is a client of the application, or itself.
    """
    pipeline: Pipeline = getattr(client, "app", client).extensions["reporting"]
    await pipeline.flush()
    if pipeline.mailer is not None:
        await pipeline.mailer.send_due()


def send_mails_to(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect the parts of quartapp that send mails with a server, until the end of the test.

    An application without MAIL_SERVER that is made from now on has this one, and an administrator
    if it has none. What is for another host goes to this server too, without TLS and login. A
    server that is given by a loopback address is one of the test, and stays. The mail about a new
    error does not wait for further ones, which would take ten seconds.
    """
    read, connect = MailSettings.from_config.__func__, smtp._connect  # type: ignore[attr-defined]

    def from_config(cls: type[MailSettings], config: Mapping[str, Any]) -> MailSettings:
        if not config.get("MAIL_SERVER"):
            ours = {"MAIL_SERVER": server.host, "MAIL_PORT": server.port}
            config = {**config, **ours, "MAIL_USE_TLS": False, "MAIL_USE_SSL": False}
            if not config.get("ADMINS") and not config.get("MAIL_ADMINS"):
                config["ADMINS"] = (ADMIN,)
        return read(cls, config)  # type: ignore[no-any-return]

    async def redirected(to: Server) -> Any:
        if to.host not in LOOPBACK:
            to = Server(server.host, server.port)
        return await connect(to)

    monkeypatch.setattr(MailSettings, "from_config", classmethod(from_config))
    monkeypatch.setattr(smtp, "_connect", redirected)
    reporting = sys.modules.get("quartapp.reporting.setup")
    if reporting is not None:  # the application records errors
        at_once = partial(reporting.Limits, initial_delay=0.0)
        monkeypatch.setattr(reporting, "Limits", at_once)
