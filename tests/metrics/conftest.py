"""Applications with metrics, and how a test reads them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.metrics import Metrics

TOKEN = "a-token-of-a-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


@pytest.fixture(params=[App, Quart], ids=["App", "Quart"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Quart:
    made: Quart = make_app(tmp_path, request.param)
    return made


def make_app(
    folder: Path, kind: Callable[..., Any] = App, name: str = "shop", **config: Any
) -> Any:
    """A shop that has error pages and metrics."""
    made: App = kind(name, instance_path=str(folder), static_folder=None)
    made.config.update({"METRICS_TOKEN": TOKEN, **config})
    ErrorPages(made)
    Metrics(made)

    @made.get("/books/<int:number>")
    async def book(number: int) -> str:
        if not number:
            raise ValueError("no such book")
        return "a book"

    return made


async def scrape(app: Quart, **headers: str) -> dict[str, float]:
    """The samples by name and labels, in the order of the labels' names."""
    response = await app.test_client().get("/metrics", headers=BEARER | headers)
    assert response.status_code == 200
    return samples(await response.get_data(as_text=True))


def samples(page: str) -> dict[str, float]:
    found = SAMPLE.findall(page)
    return {
        f"{name}{{{labels}}}" if labels else name: float(value) for name, labels, value in found
    }


def requests(found: dict[str, float]) -> dict[str, float]:
    """The numbers of requests, without those of scrapes that were refused."""
    return {
        name.removeprefix("http_requests_total"): value
        for name, value in found.items()
        if name.startswith("http_requests_total")
    }


def row(route: str, status: int, method: str = "GET") -> str:
    return f'{{method="{method}",route="{route}",status="{status}"}}'
