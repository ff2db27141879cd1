"""From an error to the webhook: with the policy, the budget and the outbox that mails have."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from quart import Quart
from quart.cli import ScriptInfo
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.database.dialect import database_now
from quartapp.mail.outbox import DEAD, SENT, WAITING
from quartapp.redact.config import config_secrets
from quartapp.redact.scrub import Scrubber
from quartapp.reporting import Reporting
from quartapp.reporting import pipeline as pipeline_module
from quartapp.reporting.alerts import evaluation
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.commands import errors
from quartapp.reporting.counting import store
from quartapp.reporting.counting.aggregate import Aggregate
from quartapp.reporting.mails.message import Letterhead
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.settings import ReportingSettings
from quartapp.reporting.tables import MERGED, ErrorAlert, ErrorWebhook
from quartapp.reporting.webhooks.outbox import WebhookOutbox, WebhookSender
from quartapp.settings import ConfigurationError
from tests.reporting.webhooks.conftest import Hook

RULES = Rules("alpha", Limits(initial_delay=0.0, budget=3), mails=False, webhooks=True)
HEAD = Letterhead("", (), app="shop")
URL = "https://example.com/services/T0/B0/canary-of-the-path"

Happen = Callable[..., Awaitable[None]]


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


# The outbox itself is that of mails, which tests/mail/test_mailer.py tries on both.
on_both = pytest.mark.parametrize(
    "database_url",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)],
    indirect=True,
)


def make_sender(database: DatabaseEngine, hook: Hook) -> WebhookSender:
    return WebhookSender(database, hook.endpoint(), WebhookOutbox(HEAD, RULES.limits))


@pytest.fixture
def sender(database: DatabaseEngine, hook: Hook) -> WebhookSender:
    return make_sender(database, hook)


@pytest.fixture
def happen(database: DatabaseEngine) -> Happen:
    async def happen(*groups: str) -> None:
        now = time.time()
        async with database.begin() as session:
            aggregates = [Aggregate(each, each, count=1, first=now, last=now) for each in groups]
            await store.count(session, aggregates, RULES, await database_now(session))
        async with database.begin() as session:
            await evaluation.wake(session, RULES, await database_now(session) + 1)

    return happen


async def rows(session: AsyncSession) -> list[ErrorWebhook]:
    await session.rollback()
    query = select(ErrorWebhook).order_by(ErrorWebhook.id)
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def change(database: DatabaseEngine, **values: Any) -> None:
    async with database.begin() as session:
        await session.execute(update(ErrorWebhook).values(**values))


async def test_posts_each_alert_once_and_makes_no_mails_of_it(
    sender: WebhookSender, hook: Hook, happen: Happen, session: AsyncSession
) -> None:
    await happen("aaaa", "bbbb")
    assert [await sender.send_due(), await sender.send_due()] == [2, 0]
    assert [each["type"] for each in hook.posted] == ["error.new"] * 2
    assert [each["data"]["fingerprint"] for each in hook.posted] == ["aaaa", "bbbb"]
    assert {row.state for row in await rows(session)} == {SENT}
    assert (await session.scalars(select(ErrorAlert))).all() == []


@on_both
async def test_rivals_post_each_alert_once(
    database: DatabaseEngine, hook: Hook, happen: Happen
) -> None:
    await happen("aaaa", "bbbb", "cccc")
    rivals = [make_sender(database, hook) for _ in range(3)]
    assert sum(await asyncio.gather(*(rival.send_due() for rival in rivals))) == 3
    assert len(hook.requests) == 3


async def test_one_killed_in_the_middle_is_followed_by_the_same_message(
    sender: WebhookSender, hook: Hook, happen: Happen, database: DatabaseEngine
) -> None:
    await happen("aaaa")
    async with database.begin() as session:  # one that is killed before it records anything
        [killed] = await sender.outbox.lease(session, await database_now(session))
    assert await sender.send_due() == 0  # its lease still holds
    await change(database, leased_until=0.0)
    assert await sender.send_due() == 1
    assert hook.requests[0][1]["webhook-id"] == killed.build().id


async def test_waits_while_the_server_is_away_and_then_says_it_in_one_message(
    sender: WebhookSender,
    hook: Hook,
    happen: Happen,
    session: AsyncSession,
    database: DatabaseEngine,
) -> None:
    hook.answer = b"HTTP/1.1 503 Later\r\n\r\n"
    await happen("aaaa")
    for _ in range(5):
        assert await sender.send_due() == 0
        await change(database, due_at=0.0)
    [row] = await rows(session)
    assert (row.state, row.tries, row.error) == (WAITING, 5, "it answered 503: Later")
    async with database.begin() as writer:
        row = ErrorWebhook(
            group_id=row.group_id, kind="escalation", ordinal=1, episode=1, count=10, since=1.0
        )
        row.created_at = row.due_at = 0.0
        writer.add(row)
    hook.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    assert await sender.send_due() == 1
    assert [row.state for row in await rows(session)] == [SENT, MERGED]


async def test_what_is_rejected_three_times_is_set_aside_with_the_servers_words(
    sender: WebhookSender,
    hook: Hook,
    happen: Happen,
    session: AsyncSession,
    database: DatabaseEngine,
) -> None:
    hook.answer = b"HTTP/1.1 404 Not Found\r\n\r\nno_service"
    await happen("aaaa")
    for state in (WAITING, WAITING, DEAD):
        await change(database, due_at=0.0)
        await sender.send_due()
        [row] = await rows(session)
        assert (row.state, row.error) == (state, "it answered 404: Not Found: no_service")


@on_both
async def test_beyond_the_budget_comes_one_digest(
    sender: WebhookSender, hook: Hook, happen: Happen, database: DatabaseEngine
) -> None:
    await happen(*(f"{number:04}" for number in range(8)))
    assert [await sender.send_due(), await sender.send_due()] == [3, 0]
    await change(database, created_at=time.time() - 1000)
    assert await sender.send_due() == 1
    digest = hook.posted[-1]
    assert (digest["type"], digest["data"]["alerts"]) == ("error.digest", 5)
    assert await sender.send_due() == 0


def hooked_app(folder: Path, hook: Hook, **more: Any) -> Quart:
    app = Quart(__name__, instance_path=str(folder))
    url = f"http://127.0.0.1:{hook.port}/services/T0/B0/canary-of-the-path"
    app.config.from_mapping(ERRORS_WEBHOOK_URL=url, ERRORS_WEBHOOK_PRIVATE="1", **more)
    Reporting(app)
    return app


def run(app: Quart, command: str) -> Any:
    return CliRunner().invoke(errors, [command], obj=ScriptInfo(create_app=lambda: app))


@pytest.mark.slow
async def test_the_commands_try_it_and_say_what_is_wrong(tmp_path: Path, hook: Hook) -> None:
    result = await asyncio.to_thread(run, hooked_app(tmp_path, hook), "test")
    assert result.exit_code == 0, result.output
    assert f"taken by 127.0.0.1:{hook.port}, by a POST" in result.stdout
    assert "SelfTestError" in hook.posted[0]["data"]["title"]
    hook.answer = b"HTTP/1.1 403 Forbidden\r\n\r\nnobody at /services/T0/B0/canary-of-the-path"
    result = await asyncio.to_thread(run, hooked_app(tmp_path, hook), "test")
    assert result.exit_code == 1
    assert "127.0.0.1 did not take it: it answered 403: Forbidden: nobody at" in result.stderr
    doctor = await asyncio.to_thread(run, hooked_app(tmp_path, hook), "doctor")
    assert doctor.exit_code == 1
    assert f"BAD webhook: 127.0.0.1:{hook.port} answers; messages are not signed" in doctor.stdout
    assert "1 message waits, the oldest for" in doctor.stdout
    assert "the last failure: it answered 403: Forbidden: nobody at [hidden]" in doctor.stdout
    assert "canary" not in result.output + doctor.output


@pytest.mark.slow
async def test_a_running_application_posts_and_its_log_has_no_secret(
    tmp_path: Path, hook: Hook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "EVERY", 0.05)
    without_delay = partialmethod(Limits.__init__, initial_delay=0.0)
    monkeypatch.setattr(Limits, "__init__", without_delay)
    hook.answer = b"HTTP/1.1 503 No\r\n\r\nwhat is /services/T0/B0/canary-of-the-path?"
    app = hooked_app(tmp_path, hook)
    pipeline: Pipeline = app.extensions["reporting"]
    caplog.set_level(logging.DEBUG)
    async with app.test_app():
        pipeline.recorder.record(KeyError(app.config["ERRORS_WEBHOOK_URL"]))
        async with asyncio.timeout(20):
            while True:
                if "could not be sent" in caplog.text:
                    break
                await asyncio.sleep(0.05)
    assert "Webhooks could not be sent: it answered 503" in caplog.text
    assert "canary" not in caplog.text
    assert b"canary" not in hook.requests[0][2]


def test_the_address_and_the_key_are_secrets() -> None:
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    for url in (URL, SecretStr(URL)):
        known = config_secrets({"ERRORS_WEBHOOK_URL": url, "ERRORS_WEBHOOK_SECRET": key})
        scrubbed = Scrubber(known).text(f"{URL} {URL[20:]} canary-of-the-path {key}")
        assert "canary" not in scrubbed
        assert "MfKQ" not in scrubbed
    settings = ReportingSettings.from_config({"ERRORS_WEBHOOK_URL": URL})
    assert "canary" not in repr(settings) + str(settings)
    assert "/hook" not in config_secrets({"ERRORS_WEBHOOK_URL": "https://example.com/hook"})


@pytest.mark.parametrize(
    "config",
    [
        {"ERRORS_WEBHOOK_URL": "canary"},
        {"ERRORS_WEBHOOK_URL": "https://example.com:canary/x"},
        {"ERRORS_WEBHOOK_URL": "http://example.com/canary"},
        {"ERRORS_WEBHOOK_URL": URL, "ERRORS_WEBHOOK_SECRET": "canary"},
        {"ERRORS_WEBHOOK_URL": URL, "ERRORS_WEBHOOK_FORMAT": "teams"},
    ],
)
def test_wrong_settings_are_named_and_not_repeated(config: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=list(config)[-1]) as raised:
        ReportingSettings.from_config(config)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("config", "is_slack"),
    [
        ({"ERRORS_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/x"}, True),
        ({"ERRORS_WEBHOOK_URL": "https://discord.com/api/webhooks/1/x/slack"}, True),
        ({"ERRORS_WEBHOOK_URL": "https://discord.com/api/webhooks/1/x"}, False),
        ({"ERRORS_WEBHOOK_URL": "https://hooks.slack.com.example/x"}, False),
        ({"ERRORS_WEBHOOK_URL": URL, "ERRORS_WEBHOOK_FORMAT": "slack"}, True),
        (
            {
                "ERRORS_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/x",
                "ERRORS_WEBHOOK_FORMAT": "json",
            },
            False,
        ),
        ({}, False),
    ],
)
def test_the_format_is_that_of_the_server(config: dict[str, str], is_slack: bool) -> None:
    assert ReportingSettings.from_config(config).webhook_is_slack is is_slack


async def test_debug_posts_nothing(tmp_path: Path, hook: Hook) -> None:
    assert hooked_app(tmp_path, hook, DEBUG=True).extensions["reporting"].webhook is None


async def test_without_a_database_it_posts_what_the_journal_holds(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = hooked_app(tmp_path, hook, ERRORS_DATABASE_URL="sqlite:////proc/nowhere.db")
    pipeline: Pipeline = app.extensions["reporting"]
    pipeline.recorder.record(KeyError("sku"))
    await pipeline.count()
    assert hook.posted == []
    assert pipeline._away_since is not None
    pipeline._away_since -= 61
    for _ in range(2):
        await pipeline.count()
    [message] = hook.posted
    assert message["type"] == "error.new"
    assert "KeyError" in message["data"]["title"]
    assert "unreachable since" in message["data"]["notes"]["database"]
