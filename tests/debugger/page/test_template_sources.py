"""Templates that are in no file show their source."""

import linecache
import re
import traceback

import pytest
from jinja2 import DictLoader, Environment
from quart import Quart, render_template, render_template_string

from quartapp.debugger.page import template_sources
from quartapp.debugger.page.template_sources import keep_template_sources
from quartapp.flasklike import App
from tests.debugger.page.caught import caught
from tests.debugger.site import HTML, Site, host

FAILING = "<ul>\n{% for item in items %}\n<li>{{ 1 / item }}</li>\n{% endfor %}\n</ul>"


@pytest.fixture(params=[Quart, App])
def site(request: pytest.FixtureRequest) -> Site:
    app: Quart = request.param(__name__)

    @app.get("/string")
    async def string() -> str:
        return await render_template_string(FAILING, items=[1, 0])

    @app.get("/syntax")
    async def syntax() -> str:
        return await render_template_string("<p>\n{{ item \n</p>")

    @app.get("/loader")
    async def loader() -> str:
        return await render_template("list.html", items=[1, 0])

    app.jinja_loader = DictLoader({"list.html": "{# first #}\n" + FAILING})
    return host(app)


def current_line(page: str) -> str:
    """The line that is marked in the last frame."""
    row = page.rsplit('class="row current"', 1)[1].split("</div>")[0]
    return re.sub("<[^>]+>", "", row.partition(">")[2])


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/string", "3&lt;li&gt;{{ 1 / item }}&lt;/li&gt;"),
        ("/syntax", "3&lt;/p&gt;"),
        ("/loader", "4&lt;li&gt;{{ 1 / item }}&lt;/li&gt;"),
    ],
)
async def test_the_page_shows_the_line(site: Site, path: str, line: str) -> None:
    page = (await site.request("GET", path, headers=HTML)).text

    assert current_line(page) == line


async def test_a_loader_s_template_keeps_its_name(site: Site) -> None:
    await site.request("GET", "/loader", headers=HTML)

    (frame,) = [f for f in site.newest.sections[0].frames if f.is_template]
    assert re.fullmatch(r"<template list\.html [0-9a-f]{8}>", frame.place)


def test_tracebacks_on_the_terminal_show_it_too() -> None:
    keep_template_sources()
    error = caught(lambda: Environment().from_string(FAILING).render(items=[0]))

    assert "<li>{{ 1 / item }}</li>" in "".join(traceback.format_exception(error))


def test_the_number_of_sources_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_sources, "MAX_SOURCES", 3)
    keep_template_sources()
    keep_template_sources()
    environment = Environment()
    labels = [environment.from_string(f"text {number}").filename for number in range(5)]

    kept = [label for label in labels if label in linecache.cache]
    assert kept == labels[-3:]
    assert environment.from_string("text 4").filename == labels[-1]
