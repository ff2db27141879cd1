"""Templates give what they give with Flask's own environment, to the letter."""

from typing import Any

import flask
import pytest
from flask.templating import Environment as FlaskEnvironment
from markupsafe import Markup

from quartapp import flasklike
from quartapp.flasklike.rendering import Environment


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
