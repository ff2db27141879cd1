"""The list of routes in the place of a 404."""

import re

import pytest
from quart import Blueprint, Quart, abort
from werkzeug.exceptions import HTTPException, NotFound

from quartapp.debugger.page.routes import MAX_ROUTES, nearest
from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from tests.debugger.site import HTML, Site, host


def make_app(kind: type[Quart]) -> Quart:
    app = kind(__name__)

    async def view(number: int = 0) -> str:
        return "fine"

    app.add_url_rule("/", "index", view)
    app.add_url_rule("/orders/<int:number>", "order", view, methods=["GET", "DELETE"])
    app.add_url_rule("/customers", "customers", view)
    app.add_url_rule("/gone", "gone", lambda: abort(404))
    shop = Blueprint("shop", __name__, url_prefix="/shop")
    shop.add_url_rule("/<name>", "item", view, methods=["POST"])
    app.register_blueprint(shop)
    app.add_websocket("/news", "news", view)
    return app


@pytest.fixture(params=[Quart, App])
def site(request: pytest.FixtureRequest) -> Site:
    return host(make_app(request.param))


def rows(page: str) -> list[list[str]]:
    found = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", page)
    return [[re.sub("<[^>]+>", "", cell) for cell in row] for row in found]


async def test_a_404_lists_the_routes_the_nearest_first(site: Site) -> None:
    answer = await site.request("GET", "/order/7", headers=HTML)

    assert answer.status == 404
    assert rows(answer.text)[0] == ["DELETE, GET", "/orders/&lt;int:number&gt;", "order"]
    assert ["WEBSOCKET", "/news", "news"] in rows(answer.text)
    assert ["POST", "/shop/&lt;name&gt;", "shop.item"] in rows(answer.text)
    assert '<a href="/customers">' in answer.text
    assert "no-store" in answer.headers["cache-control"]
    assert "script-src 'self'" in answer.headers["content-security-policy"]


async def test_a_405_lists_them_too_and_what_is_allowed(site: Site) -> None:
    answer = await site.request("POST", "/orders/7", headers=HTML)

    assert answer.status == 405
    assert {"GET", "DELETE"} <= set(answer.headers["allow"].split(", "))
    assert rows(answer.text)[0][2] == "order"


async def test_a_path_is_text(site: Site) -> None:
    answer = await site.request("GET", "/<script>alert(1)</script>" + "x" * 2000, headers=HTML)

    assert "<script>" not in answer.text
    assert "x" * 300 not in answer.text


async def test_other_clients_get_what_they_get_in_production(site: Site) -> None:
    for accept in ("", "*/*", "application/json"):
        answer = await site.request("GET", "/nowhere", headers={"accept": accept})
        assert (answer.status, "customers" in answer.text) == (404, False)


async def test_abort_in_a_view_is_not_a_missing_route(site: Site) -> None:
    answer = await site.request("GET", "/gone", headers=HTML)

    assert (answer.status, "customers" in answer.text) == (404, False)


@pytest.mark.parametrize("key", [404, NotFound, HTTPException])
async def test_the_application_s_own_handler_answers(
    site: Site, key: int | type[HTTPException]
) -> None:
    site.app.register_error_handler(key, lambda error: ("lost", 404))
    answer = await site.request("GET", "/nowhere", headers=HTML)

    assert (answer.status, answer.text) == (404, "lost")


@pytest.mark.parametrize("own", [False, True])
async def test_the_default_pages_of_errors_give_way(own: bool) -> None:
    app = make_app(App)
    ErrorPages(app)
    if own:
        app.register_error_handler(404, lambda error: ("lost", 404))
    site = host(app)

    page = await site.request("GET", "/nowhere", headers=HTML)

    assert (page.text == "lost", "customers" in page.text) == (own, not own)


async def test_clients_of_an_api_get_a_problem() -> None:
    app = make_app(App)
    ErrorPages(app)
    answer = await host(app).request("GET", "/api/nowhere", headers={"accept": "application/json"})

    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_page_of_production_is_a_link_away(site: Site) -> None:
    page = await site.request("GET", "/nowhere", headers=HTML)
    assert 'href="?__debugger__=off"' in page.text

    answer = await site.request("GET", "/nowhere", headers=HTML, query=b"__debugger__=off")

    assert (answer.status, "customers" in answer.text) == (404, False)


async def test_who_sees_no_source_sees_no_routes(site: Site) -> None:
    answer = await site.request("GET", "/nowhere", headers=HTML | {"host": "evil.example"})

    assert (answer.status, "customers" in answer.text) == (404, False)


async def test_without_the_debugger_there_is_no_list(site: Site) -> None:
    plain = host(make_app(type(site.app)), debugger=False)
    answer = await plain.request("GET", "/nowhere", headers=HTML)

    assert (answer.status, "customers" in answer.text) == (404, False)


def test_the_list_is_bounded() -> None:
    app = Quart(__name__)
    for number in range(MAX_ROUTES + 100):
        app.add_url_rule(f"/page/{number}", str(number), lambda: "")

    found = nearest(app.url_map.iter_rules(), "/page/250x" + "y" * 10_000)

    assert len(found) == MAX_ROUTES
    assert found[0].rule.startswith("/page/2")
