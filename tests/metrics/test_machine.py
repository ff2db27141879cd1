"""What the parts know: errors, journal, outboxes and database, also while one of them fails."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.metrics import Metrics, machine, sources
from quartapp.metrics.store import Metric
from quartapp.reporting import Reporting
from tests.metrics.conftest import TOKEN, make_app, scrape
from tests.shop.app import create_app, create_tables


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes longer."""
    monkeypatch.setattr(machine, "PATIENCE", 30.0)


@pytest.fixture
async def shop(tmp_path: Path, database_url: str) -> App:
    """A shop with all parts."""
    app = create_app(
        tmp_path, database_url, METRICS_TOKEN=TOKEN, MAIL_SERVER="localhost", ADMINS=["a@b.example"]
    )
    Metrics(app)
    await create_tables(app)
    return app


@pytest.mark.slow
async def test_errors_are_counted_by_class_and_waiting_mails_are_shown(shop: Any) -> None:
    async with shop.test_app():
        pipeline = shop.extensions["reporting"]
        for error in (ValueError(), ValueError(), KeyError()):
            pipeline.recorder.record(error)
        shop.logger.error("something is wrong")
        found = await scrape(shop)
        while found["quartapp_journal_uncounted_segments"]:
            await asyncio.sleep(0.05)
            found = await scrape(shop)
    assert found['quartapp_errors_total{error="ValueError"}'] == 2
    assert found['quartapp_errors_total{error="KeyError"}'] == 1
    assert found['quartapp_errors_total{error="log"}'] == 1
    assert found["quartapp_journal_segments"] == 2
    assert found["quartapp_journal_uncounted_segments"] == 0
    assert found["quartapp_database_up"] == 1
    assert "quartapp_database_pool_in_use" in found
    assert found["quartapp_database_pool_size"] > 0
    assert 'quartapp_outbox_waiting{outbox="mails"}' in found
    assert not any(name.startswith("quartapp_outbox") and "webhooks" in name for name in found)


@pytest.mark.slow
async def test_a_scrape_is_answered_while_the_database_is_away(
    shop: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with shop.test_app():

        async def hang(_: object) -> None:
            await asyncio.sleep(60)

        def refuse(*_: object, **__: object) -> None:
            raise ConnectionRefusedError("nobody listens")

        with monkeypatch.context() as patched:
            patched.setattr(machine, "PATIENCE", 0.2)
            patched.setattr(DatabaseEngine, "ping", hang)
            patched.setattr(DatabaseEngine, "session", refuse)
            began = time.monotonic()
            found = await scrape(shop)
            await scrape(shop)
            assert time.monotonic() - began < 20  # it would hang for a minute
        back = await scrape(shop)
    assert found["quartapp_database_up"] == 0
    assert found['quartapp_metrics_failing{part="outbox mails"}'] == 1
    assert found["quartapp_workers"] == 1
    assert back["quartapp_database_up"] == 1
    assert back['quartapp_metrics_failing{part="outbox mails"}'] == 0
    lines = [line for line in caplog.messages if "what the workers share" in line]
    assert len([line for line in lines if "ConnectionRefusedError: nobody listens" in line]) == 1
    said = {each.levelname for each in caplog.records if each.name == "quartapp.metrics.worker"}
    assert said == {"WARNING"}, "which mails nobody: reporting does"
    assert lines[-1] == "Metrics are complete again: what the workers share cannot be read"


async def test_a_part_that_fails_is_missing_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(tmp_path)
    app.extensions["errors"].admission = object()  # of another version
    async with app.test_app():
        found = await scrape(app)
        await scrape(app)
    assert found['quartapp_metrics_failing{part="worker"}'] == 1
    assert found["http_requests_in_progress"] == 0
    assert caplog.text.count("admission (AttributeError") == 1


async def test_a_gauge_of_the_application_that_fails_is_missing(tmp_path: Path) -> None:
    app = App("shop", instance_path=str(tmp_path))
    app.config["METRICS_TOKEN"] = TOKEN
    metrics = Metrics(app)

    def broken() -> float:
        raise ZeroDivisionError

    metrics.gauge("shop_broken", "", broken)
    metrics.gauge("shop_shelves", "", lambda: 7)
    async with app.test_app():
        found = await scrape(app)
    assert "shop_broken" not in found
    assert found["shop_shelves"] == 7


async def test_errors_that_wait_have_an_age(tmp_path: Path) -> None:
    app: Any = App("shop", instance_path=str(tmp_path))
    app.config["METRICS_TOKEN"] = TOKEN
    Reporting(app)
    Metrics(app)
    async with app.test_app():
        pipeline = app.extensions["reporting"]
        pipeline.consumer.offsets = {}
        pipeline.recorder._clock = lambda: time.time() - 100
        pipeline.recorder.record(ValueError())
        found = await scrape(app)
    assert found["quartapp_journal_uncounted_segments"] == 1
    assert 100 <= found["quartapp_journal_uncounted_age_seconds"] < 110


def test_what_a_part_counts_is_added_once_and_survives_a_new_object(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    store = app.extensions["metrics"].store
    reads = sources.Sources(app, store)
    metric = Metric("timeouts", "counter", "")
    for value in (0, 3, 3, 5, 1):  # the last one: the pool was disposed of and made again
        reads._take(metric, value)
    assert store.numbers[store.place(metric)] == 6
