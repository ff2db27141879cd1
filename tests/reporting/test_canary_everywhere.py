"""A secret that is planted in many places of requests, errors and log lines, through the whole
pipeline: it is in no file, no mail, no output of a command, and not on the terminal."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from quart import request
from quart.cli import ScriptInfo

from quartapp.flasklike import App
from quartapp.redact.context import Context
from quartapp.reporting.commands import errors
from quartapp.reporting.pipeline import Pipeline
from quartapp.testing import MailServer
from tests.reporting.canary import CANARY, CORE, PLANTINGS, known_secrets, leaks
from tests.reporting.conftest import eventually_counted
from tests.shop.app import create_app, create_tables


async def fail_with(value: str) -> None:
    """Have what was received in the message of an error, under no name."""
    raise ValueError(f"cannot use {value!r}")


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "query": (f"/fail/query?token={CORE}", {}),
    "quoted query": (f"/fail/query?token={quote(CANARY)}", {}),
    "key of an address": (f"/fail/query?key={CORE}", {}),
    "signature": (f"/fail/query?sig={CORE}", {}),
    "mail address in a query": (f"/fail/query?email={CORE}@example.com", {}),
    "path": (f"/reset/{CORE}", {}),
    "form": ("/fail/form", {"form": {"password": CANARY}}),
    "second field": ("/fail/form", {"form": {"password2": CANARY}}),
    "mail address in a form": ("/fail/form", {"form": {"email": f"{CORE}@example.com"}}),
    "json": ("/fail/json", {"json": {"account": {"passcode": CANARY}}}),
    "json list": ("/fail/json", {"json": {"recovery_codes": [CANARY, "abcd"]}}),
    "cookie": ("/fail/headers", {"headers": {"Cookie": f"theme=dark; id={CORE}"}}),
    "bearer": ("/fail/headers", {"headers": {"Authorization": f"Bearer {CORE}"}}),
    "basic": (
        "/fail/headers",
        {"headers": {"Authorization": "Basic " + b64encode(f"susan:{CORE}".encode()).decode()}},
    ),
    "header": ("/fail/headers", {"headers": {"X-Api-Key": CORE}}),
    "referer": ("/fail/headers", {"headers": {"Referer": f"http://localhost/?reset_token={CORE}"}}),
}


def log_lines() -> None:
    """The secret in the arguments and the texts of several loggers."""
    for name in ("everywhere", "some.library", "hypercorn.error"):
        logger = logging.getLogger(name)
        logger.warning("cannot log in with password=%s", CORE)
        logger.warning("no %(token)s", {"token": CANARY})
        try:
            raise_a_secret()
        except ValueError:
            logger.exception("Error in ASGI Framework")


def raise_a_secret() -> None:
    passphrase = CANARY
    raise ValueError(f"cannot use {passphrase}")


def add_views(app: App) -> None:
    @app.post("/fail/<where>")
    async def fail(where: str) -> Any:
        if where == "query":
            await fail_with(request.query_string.decode() + str(list(request.args.values())))
        if where == "form":
            await fail_with(str(list((await request.form).values())))
        if where == "json":
            await fail_with(str((await request.get_json()).values()))
        await fail_with(" ".join(value for _, value in request.headers))

    @app.post("/reset/<token>")
    async def reset(token: str) -> Any:
        await fail_with(token)

    @app.post("/plant/<name>")
    async def plant(name: str) -> Any:
        subject, _ = PLANTINGS[name]()
        if isinstance(subject, logging.LogRecord):
            app.logger.handle(subject)
            return None
        raise subject

    @app.post("/log")
    async def log() -> Any:
        log_lines()


def in_the_error_itself() -> list[str]:
    """The plantings that need no context of their own."""
    return [name for name, plant in PLANTINGS.items() if plant()[1] == Context()]


@pytest.fixture
def app(tmp_path: Path, database_url: str, mail_server: MailServer) -> App:
    app = create_app(
        tmp_path,
        database_url,
        name="everywhere",
        SECRET_KEY=known_secrets()[0],
        MAIL_SERVER=mail_server.host,
        MAIL_PORT=mail_server.port,
        ADMINS=("ops@example.com",),
    )
    pipeline: Pipeline = app.extensions["reporting"]
    rules = pipeline.consumer.rules
    limits = replace(rules.limits, initial_delay=0.0, budget=1000)
    pipeline.consumer.rules = replace(rules, limits=limits)
    add_views(app)
    return app


@pytest.mark.slow
async def test_the_secret_is_nowhere(
    app: App,
    tmp_path: Path,
    mail_server: MailServer,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])  # as outside of pytest
    await create_tables(app)
    planted = in_the_error_itself()
    assert len(REQUESTS) + len(planted) + 9 >= 100
    async with app.test_app():
        client = app.test_client()
        for path, more in REQUESTS.values():
            assert (await client.post(path, **more)).status_code == 500, path
        for name in planted:
            assert (await client.post(f"/plant/{name}")).status_code == 500, name
        assert (await client.post("/log")).status_code == 500, "a view without an answer"
        texts = contents(tmp_path)
        assert await eventually_counted(app, len(REQUESTS) + len(planted)) > len(planted)
        await eventually(lambda: len(mail_server.mails) >= 10)
        await asyncio.to_thread(run_commands, app, texts)
        texts |= contents(tmp_path)
    texts |= {f"mail {at}": str(mail.message) for at, mail in enumerate(mail_server.mails)}
    texts |= {f"text {at}": mail.text for at, mail in enumerate(mail_server.mails)}
    printed = capfd.readouterr()
    texts |= {"terminal": printed.err + printed.out}
    assert "some.library: cannot log in with password=[hidden]" in texts["terminal"]
    assert "Error in ASGI Framework" in texts["terminal"]
    assert any(name.endswith(".journal") for name in texts)
    assert "everywhere.log" in texts
    assert {name: leak(text) for name, text in texts.items() if leaks(text)} == {}


def leak(text: str) -> str:
    """What is around the secret, to find the place."""
    at = max(text.find(CORE), 0)
    return text[max(at - 300, 0) : at + 50]


def contents(folder: Path) -> dict[str, str]:
    """All files, as they are now: the journal, the log, the database."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: path.read_bytes().decode("utf-8", "replace") for path in files}


def run_commands(app: App, texts: dict[str, str]) -> None:
    """What operators see."""
    pipeline = app.extensions["reporting"]
    info = ScriptInfo(
        create_app=lambda: create_app(
            Path(pipeline.journal.folder).parents[1], str(pipeline.database.url)
        )
    )
    for arguments in (("list", "--json"), ("list",), ("show", "1", "--json")):
        result = CliRunner().invoke(errors, arguments, obj=info)
        assert result.exit_code == 0, result.output
        texts[" ".join(arguments)] = result.output


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # a mail server has no event for it
            await asyncio.sleep(0.05)
