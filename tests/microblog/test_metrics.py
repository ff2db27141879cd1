"""The microblog's metrics: with METRICS_TOKEN, of all its parts."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from quartapp.flasklike import App
from quartapp.installation import MEASURING, Outer
from quartapp.metrics import machine
from quartapp.metrics.catalogue import ALL
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from tests.deploy.test_alerts import EXPORTED, FOUND
from tests.metrics.conftest import BEARER, TOKEN, requests, row, scrape

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes longer."""
    monkeypatch.setattr(machine, "PATIENCE", 30.0)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    mails = {
        "mail_server": "localhost",
        "admins": ("a@b.example",),
        "public_url": "http://a.example",
    }
    return settings.model_copy(update={"metrics_token": SecretStr(TOKEN), **mails})


async def test_a_scrape_has_every_metric_that_an_alert_uses(app: App) -> None:
    client = app.test_client()
    for path in ("/login", "/user/nobody", "/nowhere"):
        await client.get(path)
    found = await scrape(app)
    assert requests(found) == {
        row("/login", 200): 1,
        row("/user/<username>", 404): 1,
        row("unmatched", 404): 1,
    }
    names = {name.partition("{")[0] for name in found}
    used = set(re.findall(r"\b(?:http|quartapp|process)_\w+", "".join(FOUND.values()))) & EXPORTED
    unused_parts = {"quartapp_log_dropped_total"}  # tests have no log
    assert used - names <= unused_parts
    assert len(used) > 20
    failing = {name: value for name, value in found.items() if "metrics_failing" in name}
    assert not any(failing.values())
    assert 'quartapp_metrics_failing{part="outbox accounts"}' in failing
    assert found['quartapp_outbox_waiting{outbox="accounts"}'] == 0
    assert found["quartapp_workers_configured"] == 1


async def test_without_a_token_there_are_none(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"metrics_token": None}))
    assert "metrics" not in app.extensions
    response = await app.test_client().get("/metrics", headers=BEARER)
    assert response.status_code == 404


async def test_the_token_is_a_secret(app: App) -> None:
    scrubber = app.extensions["reporting"].recorder.scrubber
    assert TOKEN not in scrubber.text(f"the header Authorization: Bearer {TOKEN} was sent")
    assert TOKEN not in scrubber.text(f"of {TOKEN} nobody knows")


def test_the_document_lists_every_metric() -> None:
    text = (ROOT / "docs" / "watch.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \|", text, re.MULTILINE)
    assert [(name, kind, re.findall(r"`(\w+)`", labels)) for name, kind, labels in rows] == [
        (
            metric.name + ("_total" if metric.kind == "counter" else ""),
            metric.kind,
            [*metric.labels, *(["worker"] if metric.each else [])],
        )
        for metric in ALL
    ]


def test_no_middleware_is_there_twice(app: App) -> None:
    found = []
    layer: Any = app
    while isinstance(layer.asgi_app, Outer):
        layer = layer.asgi_app
        found.append(layer.place)
    assert found == sorted(set(found))
    assert MEASURING in found
