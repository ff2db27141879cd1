"""`Metrics(app)` in anybody's application: who may read them, and what is refused."""

import gzip
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain
from quart import Quart

from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.logfile.handler import ThreadedHandler
from quartapp.metrics import Metrics, extension
from quartapp.serving import proxies
from quartapp.settings import ConfigurationError
from tests.metrics.conftest import BEARER, TOKEN, make_app, requests, row, scrape


async def test_requests_are_counted_by_route_method_and_status(app: Quart) -> None:
    client = app.test_client()
    async with app.test_app():
        for path in ("/books/1", "/books/2", "/books/0", "/nowhere"):
            await client.get(path)
        await client.post("/books/1")
        found = await scrape(app)
    assert requests(found) == {
        row("/books/<int:number>", 200): 2,
        row("/books/<int:number>", 500): 1,
        row("unmatched", 404): 1,
        row("unmatched", 405, "POST"): 1,
    }
    labels = 'le="+Inf",method="GET",route="/books/<int:number>",status="200"'
    assert found[f"http_request_duration_seconds_bucket{{{labels}}}"] == 2
    assert found["http_requests_in_progress"] == 0
    assert found["quartapp_workers"] == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer \xe4"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Cookie": f"token={TOKEN}"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE"])
async def test_for_all_others_there_is_no_such_page(
    app: Quart, headers: dict[str, str], method: str
) -> None:
    client: Any = app.test_client()
    async with app.test_app():
        asked = await client.open("/metrics", method=method, headers=headers)
        unknown = await client.open("/metricz", method=method, headers=headers)
    assert asked.status_code == unknown.status_code == 404
    assert await asked.get_data() == await unknown.get_data()
    assert list(asked.headers) == list(unknown.headers)


async def test_without_a_token_nobody_reads_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(tmp_path, METRICS_TOKEN="")
    async with app.test_app():
        for value in ("Bearer ", "Bearer", "Bearer None"):
            response = await app.test_client().get("/metrics", headers={"Authorization": value})
            assert response.status_code == 404
    assert "Nobody may read the metrics: METRICS_TOKEN is not set" in caplog.text


async def test_a_header_field_that_is_sent_twice_opens_nothing(app: Quart) -> None:
    from werkzeug.datastructures import Headers

    twice = Headers([("Authorization", f"Bearer {TOKEN}")] * 2)
    async with app.test_app():
        assert (await app.test_client().get("/metrics", headers=twice)).status_code == 404


@pytest.mark.parametrize("token", ["short", "with a space in it", "ümläute-sind-keine-ascii"])
def test_a_token_that_cannot_be_is_refused_without_being_repeated(
    tmp_path: Path, token: str
) -> None:
    with pytest.raises(ConfigurationError, match="METRICS_TOKEN: expected at least 16") as raised:
        make_app(tmp_path, METRICS_TOKEN=token)
    assert token not in str(raised.value)


async def test_a_scrape_is_not_counted_and_other_methods_are_refused(app: Quart) -> None:
    client = app.test_client()
    async with app.test_app():
        head = await client.head("/metrics", headers=BEARER)
        post = await client.post("/metrics", headers=BEARER)
        found = requests(await scrape(app))
    assert (head.status_code, await head.get_data()) == (200, b"")
    if isinstance(app, App):  # Quart's client counts the bytes that it got
        assert int(head.headers["Content-Length"]) > 1000
    assert head.headers["Cache-Control"] == "no-store"
    assert (post.status_code, post.headers["Allow"]) == (405, "GET, HEAD")
    assert found == {}


async def test_the_format_is_the_one_that_is_accepted(app: Quart) -> None:
    client = app.test_client()
    accept = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
    async with app.test_app():
        await client.get("/books/1")
        text = await client.get("/metrics", headers=BEARER)
        other = await client.get("/metrics", headers=BEARER | accept)
    assert text.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert other.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    page = gzip.decompress(await other.get_data(as_text=False)).decode()
    assert page.endswith("# EOF\n")
    assert names_in(open_metrics, page) == names_in(plain, await text.get_data(as_text=True))


def names_in(parse: Any, page: str) -> set[str]:
    return {family.name for family in parse(page)}


async def test_a_page_of_the_application_at_the_path_stays_for_others(tmp_path: Path) -> None:
    app: App = make_app(tmp_path)

    @app.get("/metrics")
    async def metrics() -> str:
        return "of the shop"

    async with app.test_app():
        response = await app.test_client().get("/metrics")
        assert await response.get_data() == b"of the shop"
        assert "quartapp_workers" in await scrape(app)


async def test_a_scrape_is_answered_whatever_trusted_hosts_and_hooks_say(tmp_path: Path) -> None:
    app: App = make_app(tmp_path, TRUSTED_HOSTS=["shop.example.com"])

    @app.before_request
    async def refuse() -> None:
        raise RuntimeError("the database is away")

    async with app.test_app():
        assert (await scrape(app))["quartapp_workers"] == 1


async def test_two_applications_in_one_process_and_folder_count_apart(tmp_path: Path) -> None:
    shop, bank = make_app(tmp_path), make_app(tmp_path, name="bank")
    async with shop.test_app(), bank.test_app():
        await shop.test_client().get("/books/1")
        await shop.extensions["metrics"]._share()
        assert requests(await scrape(shop)) == {row("/books/<int:number>", 200): 1}
        assert requests(await scrape(bank)) == {}


async def test_one_object_serves_several_applications(tmp_path: Path) -> None:
    metrics = Metrics(path="/internal/metrics")
    sold = metrics.counter("shop_sold", "What was sold.", ["kind"])
    with pytest.raises(RuntimeError, match="belong to no application"):
        sold.inc(kind="book")
    apps = [App(name, instance_path=str(tmp_path)) for name in ("a", "b")]
    pages = []
    for app in apps:
        app.config["METRICS_TOKEN"] = TOKEN
        metrics.init_app(app)
    for app in apps:
        async with app.test_app(), app.app_context():
            sold.inc(kind="book")
            response = await app.test_client().get("/internal/metrics", headers=BEARER)
            pages.append(await response.get_data(as_text=True))
    assert [page.count('shop_sold_total{kind="book"} 1.0') for page in pages] == [1, 1]


async def test_metrics_of_the_application_itself(tmp_path: Path) -> None:
    app = App("shop", instance_path=str(tmp_path))
    app.config["METRICS_TOKEN"] = TOKEN
    metrics = Metrics(app)
    sold = metrics.counter("shop_sold_total", "What was sold.", ["kind"])
    price = metrics.histogram("shop_price_euros", "Prices.", buckets=[1, 10])
    metrics.gauge("shop_shelves", "Shelves.", lambda: 7)
    sold.inc(2, kind='a "quoted"\nbook')
    sold.inc(3, kind="\ud800")  # of the JSON of a client
    for value in (0.5, 1, 5, 50):
        price.observe(value)
    async with app.test_app():
        found = await scrape(app)
    assert found[r'shop_sold_total{kind="a \"quoted\"\nbook"}'] == 2
    assert found[r'shop_sold_total{kind="\\ud800"}'] == 3, "and the page is not broken"
    assert found['shop_price_euros_bucket{le="1.0"}'] == 2
    assert found['shop_price_euros_bucket{le="+Inf"}'] == found["shop_price_euros_count"] == 4
    assert found["shop_price_euros_sum"] == 56.5
    assert found["shop_shelves"] == 7


def test_a_metric_that_cannot_be_is_refused() -> None:
    metrics = Metrics()
    metrics.counter("shop_sold", "What was sold.")
    for name in ("shop_sold", "http_requests", "quartapp_x", "with space", ""):
        with pytest.raises(ValueError, match=r".+"):
            metrics.counter(name, "")
    with pytest.raises(ValueError, match="label"):
        metrics.counter("shop_labels", "", ["le"])
    for buckets in ([], [2, 1], [1, 1], [1, inf], [nan]):
        with pytest.raises(ValueError, match="buckets"):
            metrics.histogram("shop_price", "", buckets=buckets)
    sold = metrics.counter("shop_by_kind", "", ["kind"])
    for labels in ({}, {"kind": 1, "more": 2}, {"sort": 1}):
        with pytest.raises(TypeError, match="expected as labels: kind"):
            sold.inc(**labels)
    for amount in (-1, inf, nan):
        with pytest.raises(ValueError, match="only grows"):
            sold.inc(amount, kind="book")
    price = metrics.histogram("shop_price", "", buckets=[1])
    for value in (inf, -inf, nan):
        with pytest.raises(ValueError, match="cannot be observed"):
            price.observe(value)


def test_nothing_is_made_before_the_application_serves(app: Quart, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError, match="installed in the application 'shop' already"):
        Metrics(app)


async def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match='Metrics needs the extra "metrics"'):
        make_app(tmp_path)


async def test_the_parts_of_an_application_are_shown(tmp_path: Path) -> None:
    app: Any = App("shop", instance_path=str(tmp_path))
    app.config["METRICS_TOKEN"] = TOKEN
    ErrorPages(app, admission=True, deadlines=True)
    Metrics(app)
    async with app.test_app():
        await app.test_client().get("/")
        found = await scrape(app)
        app.extensions["errors"].admission.refused += 3
        again = await scrape(app)
    assert found["quartapp_admission_admitted_total"] == 1
    assert found["quartapp_admission_refused_total"] == 0
    assert found["quartapp_request_timeouts_total"] == 0
    assert again["quartapp_admission_refused_total"] == 3


async def test_lines_that_the_log_and_the_access_log_left_out_are_one_sum(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    log, access = ThreadedHandler(), ThreadedHandler()
    log.dropped, access.dropped = 3, 2
    app.extensions["logfile"] = SimpleNamespace(access_handler=access)
    app.logger.addHandler(log)
    try:
        async with app.test_app():
            assert (await scrape(app))["quartapp_log_dropped_total"] == 5
    finally:
        app.logger.removeHandler(log)


async def test_behind_a_proxy_whose_middleware_copies_the_scope(tmp_path: Path) -> None:
    app = make_app(tmp_path, PROXY_HOPS=1)
    proxies.init_app(app)
    async with app.test_app():  # which puts Metrics around that
        response = await app.test_client().get("/books/1")
        assert response.status_code == 200
        assert requests(await scrape(app)) == {row("/books/<int:number>", 200): 1}
