import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateNotFound
from quart import g
from quart.signals import before_render_template, template_rendered

from quartapp.flasklike import (
    App,
    Blueprint,
    render_template,
    render_template_string,
    stream_template,
    stream_template_string,
)


@pytest.fixture
def app(tmp_path: Path) -> App:
    (tmp_path / "page.html").write_text("{{ value }} {{ processed }} {{ request.path }}")
    return App("templating", template_folder=str(tmp_path))


async def test_renders_with_the_context_of_processors_and_the_request(app: App) -> None:
    app.context_processor(lambda: {"processed": "by a processor", "value": "not this"})
    async with app.test_request_context("/path"):
        assert await render_template("page.html", value="given") == "given by a processor /path"
        assert (
            await render_template(["no.html", "page.html"], value="x") == "x by a processor /path"
        )


async def test_a_blueprints_processor_runs_for_its_requests_alone(app: App) -> None:
    blueprint = Blueprint("inner", "inner")
    blueprint.context_processor(lambda: {"value": "blueprint"})
    app.context_processor(lambda: {"value": "application"})

    async def view() -> str:
        return await render_template_string("{{ value }}")

    blueprint.add_url_rule("/in", view_func=view, endpoint="index")
    app.register_blueprint(blueprint)
    app.add_url_rule("/", view_func=view, endpoint="index")
    client = app.test_client()
    assert await (await client.get("/in")).get_data() == b"blueprint"
    assert await (await client.get("/")).get_data() == b"application"


async def test_a_missing_template_is_noticed_before_processors_run(app: App) -> None:
    ran: list[str] = []

    @app.context_processor
    async def note() -> dict[str, Any]:
        ran.append("processor")
        return {}

    async with app.test_request_context("/"):
        with pytest.raises(TemplateNotFound):
            await render_template("missing.html")
    assert ran == []


async def test_templates_are_rendered_synchronously_unless_asked_otherwise(app: App) -> None:
    assert not app.jinja_env.is_async
    other = App("other")
    other.jinja_options = {"enable_async": True}

    async def later() -> str:
        await asyncio.sleep(0)
        return "awaited"

    async with other.test_request_context("/"):
        assert await render_template_string("{{ later() }}", later=later) == "awaited"
        stream = await stream_template_string("{{ later() }}", later=later)
        assert [part async for part in stream] == ["awaited"]


async def test_signals_tell_of_a_rendering(app: App) -> None:
    seen: list[Any] = []

    def before(_: Any, template: Any, context: Any) -> None:
        seen.append(("before", template.name, context["value"]))

    def after(_: Any, template: Any, context: Any) -> None:
        seen.append(("after", template.name, context["value"]))

    async with app.test_request_context("/"):
        with (
            before_render_template.connected_to(before, app),
            template_rendered.connected_to(after, app),
        ):
            await render_template("page.html", value=1)
    assert seen == [("before", "page.html", 1), ("after", "page.html", 1)]


async def test_streams_keep_the_request(app: App) -> None:
    @app.get("/path")
    async def view() -> Any:
        g.value = "kept"
        return await stream_template("page.html", value=g.value)

    response = await app.test_client().get("/path")
    assert await response.get_data() == b"kept  /path"
    async with app.app_context():
        stream = await stream_template_string("{{ 1 + 1 }}")
        assert [part async for part in stream] == ["2"]


@pytest.mark.parametrize("text", ["{{ session.name }}", "nothing"])
async def test_a_template_that_reads_the_session_makes_the_answer_vary(app: App, text: str) -> None:
    app.secret_key = "secret"

    @app.get("/")
    async def view() -> str:
        return await render_template_string(text)

    response = await app.test_client().get("/")
    assert ("Vary" in response.headers) == ("session" in text)


async def test_templates_are_reloaded_in_debug_mode(app: App) -> None:
    assert not app.jinja_env.auto_reload
    for config, expected in (({"DEBUG": True}, True), ({"TEMPLATES_AUTO_RELOAD": True}, True)):
        other = App("other")
        other.config.update(config)
        assert other.jinja_env.auto_reload is expected
    off = App("other")
    off.config.update(DEBUG=True, TEMPLATES_AUTO_RELOAD=False)
    assert off.jinja_env.auto_reload is False


async def test_the_search_for_a_template_is_explained(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    app.logger.setLevel("INFO")
    blueprint = Blueprint("inner", "inner")

    @blueprint.get("/in")
    async def view() -> str:
        return await render_template("missing.html")

    app.register_blueprint(blueprint)
    await app.test_client().get("/in")
    text = caplog.records[0].getMessage()
    assert text.startswith("Locating template 'missing.html'")
    assert "an endpoint that belongs to the blueprint 'inner'" in text


async def test_a_plain_view_renders_in_its_thread(app: App) -> None:
    """What it hands over may belong to the thread, such as a connection of sqlite3."""

    def titles() -> Iterator[Any]:
        return rows_of(sqlite3.connect(":memory:"))

    def rows_of(connection: sqlite3.Connection) -> Iterator[Any]:
        with closing(connection):
            yield from connection.execute("SELECT 'sea' UNION SELECT 'lake'")

    source = "{% for row in rows %}{{ row[0] }} {% endfor %}{{ later() }}"

    async def later() -> str:
        return "awaited"

    @app.get("/")
    def view() -> Any:
        return render_template_string(source, rows=titles(), later=later)

    @app.get("/stream")
    def stream() -> Any:
        return stream_template_string(source, rows=titles(), later=later)

    client: Any = app.test_client()
    for path in ("/", "/stream"):
        assert (await client.get(path)).text == "lake sea awaited"
