import asyncio
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.templating import Environment as FlaskEnvironment
from jinja2 import TemplateNotFound
from markupsafe import Markup
from quart import g
from quart.signals import before_render_template, template_rendered

from quartapp import flasklike
from quartapp.flasklike import (
    App,
    Blueprint,
    render_template,
    render_template_string,
    stream_template,
    stream_template_string,
)
from quartapp.flasklike.templating import Environment


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


class Html:
    def __html__(self) -> str:
        return "<b>own</b>"


class Text(str):
    __slots__ = ()


class Both(str):
    __slots__ = ()

    def __html__(self) -> str:
        return "<i>both</i>"


VALUES: list[Any] = [
    "plain",
    "<script>'\"&</script>",
    Markup("<em>safe</em>"),
    Text("<sub>class</sub>"),
    Both("<ignored>"),
    Html(),
    7,
    1.5,
    None,
    True,
    ["<", Markup(">")],
    b"<bytes>",
    "",
]

TEMPLATES = [
    "a{{ value }}b",
    "{{ value }}{{ value }}",
    "{{ value ~ '<' }}",
    "{{ '<' if value else value }}",
    "{% set kept %}<p>{{ value }}</p>{% endset %}{{ kept }}|{{ kept|upper }}|{{ kept ~ '<' }}",
    "{% macro m(x) %}<i>{{ x }}</i>{% endmacro %}{{ m(value) }}{{ m(value)|length }}",
    "{% macro m() %}<u>{{ caller(value) }}</u>{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}",
    "{% filter upper %}{{ value }}<{% endfilter %}",
    "{% filter escape %}{{ value }}<{% endfilter %}",
    "{{ value|safe }}{{ value|e }}{{ value|string|trim }}",
    "{% autoescape false %}{{ value }}{% endautoescape %}{{ value }}",
    "{% autoescape flag %}{{ value }}{% endautoescape %}",
    "{% for x in [value, value] recursive %}{{ x }}{{ loop.index }}{% endfor %}",
    "{% block b %}{{ value }}{% endblock %}{{ self.b() }}{{ self.b()|length }}",
]


@pytest.fixture
def environments() -> tuple[FlaskEnvironment, FlaskEnvironment]:
    return flask.Flask("flask").jinja_env, flasklike.App("quart").jinja_env


@pytest.mark.parametrize("finalize", [None, lambda value: value if value is not None else "-"])
@pytest.mark.parametrize("source", TEMPLATES)
def test_every_value_is_escaped_as_flask_escapes_it(source: str, finalize: Any) -> None:
    options = {} if finalize is None else {"finalize": finalize}
    theirs, ours = flask.Flask("flask"), flasklike.App("quart")
    theirs.jinja_options, ours.jinja_options = options, options
    for value in VALUES:
        values = {"value": value, "flag": True}
        expected = theirs.jinja_env.from_string(source).render(values)
        assert ours.jinja_env.from_string(source).render(values) == expected


@pytest.mark.parametrize("name", ["page.txt", "page.html"])
def test_only_html_is_escaped(name: str) -> None:
    app = flasklike.App("quart")
    assert app.select_jinja_autoescape(name) == (name == "page.html")
    template = app.jinja_env.from_string("{% autoescape false %}{{ v }}{% endautoescape %}{{ v }}")
    assert template.render(v="<") == "<&lt;"


def test_globals_of_one_template_stay_its_own(
    environments: tuple[FlaskEnvironment, FlaskEnvironment],
) -> None:
    for environment in environments:
        one = environment.from_string("{{ name }}", globals={"name": "one"})
        other = environment.from_string("{{ name }}")
        environment.globals["name"] = "all"
        assert (one.render(), other.render()) == ("one", "all")
        one.globals["name"] = "changed"
        assert (one.render(), other.render(), environment.globals["name"]) == (
            "changed",
            "all",
            "all",
        )
        assert set(one.globals) == set(environment.globals)
        assert list(one.globals.keys()) == list(one.globals)


def test_an_import_sees_the_globals_of_its_importer(
    environments: tuple[FlaskEnvironment, FlaskEnvironment],
) -> None:
    from jinja2 import DictLoader

    files = {
        "macros.html": "{% macro m() %}{{ name }}{% endmacro %}",
        "page.html": "{% from 'macros.html' import m %}{{ m() }}",
    }
    for environment in environments:
        environment.loader = DictLoader(files)
        assert environment.get_template("page.html").render() == ""
        named = environment.get_template("page.html", globals={"name": "<x>"})
        assert named.render() == "&lt;x&gt;"


def test_the_environment_is_ours() -> None:
    assert isinstance(flasklike.App("quart").jinja_env, Environment)
