from functools import partial
from pathlib import Path
from typing import Any

import flask
import jinja2
import pytest
from flask.templating import Environment as FlaskEnvironment
from markupsafe import Markup

from quartapp import flasklike
from quartapp.flasklike.templating import values
from quartapp.flasklike.templating.environment import Environment


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


def test_a_type_is_looked_at_once_and_not_more_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = flasklike.App("quart").jinja_env
    template = environment.from_string("{{ value }}")
    for most, known in ((len(values.plain), False), (len(values.plain) + 100, True)):
        monkeypatch.setattr(values, "_MOST_TYPES", most)
        kind = type("New", (), {"__html__": lambda self: "new"})
        assert template.render(value=kind()) == "new"
        assert (kind in values.plain) is known


def test_the_environment_is_ours() -> None:
    assert isinstance(flasklike.App("quart").jinja_env, Environment)


class Callable:
    def __call__(self, *args: Any) -> str:
        return f"called{args}"

    def method(self, *args: Any, **kwargs: Any) -> str:
        return f"method{args}{kwargs}"

    @jinja2.pass_context
    def with_context(self, context: Any, *args: Any) -> str:
        return f"{context['value']}{context.get('x')}{args}"


class CallableWithContext:
    @jinja2.pass_context
    def __call__(self, context: Any) -> Any:
        return context["value"]


@jinja2.pass_eval_context
def escaping(context: Any, text: str) -> str:
    return f"{context.autoescape}{text}"


@jinja2.pass_environment
def named(environment: Any) -> str:
    return str(environment.block_start_string)


def stop() -> None:
    raise StopIteration


CALLS = {
    "callable_": Callable(),
    "method": Callable().method,
    "with_context": Callable().with_context,
    "callable_with_context": CallableWithContext(),
    "escaping": escaping,
    "named": named,
    "stop": stop,
    "partly": partial(Callable().method, 1),
    "class_": Callable,
    "builtin": len,
}


@pytest.mark.parametrize(
    "source",
    [
        "{{ callable_(1) }}{{ method(1, a=2) }}{{ partly(2, b=3) }}{{ builtin('abc') }}",
        "{{ class_()() }}",
        "{% for x in [1, 2] %}{{ with_context(x) }}{{ method(x) }}{{ callable_(x) }}{% endfor %}",
        "{% set x = 5 %}{{ with_context(x) }}{{ callable_with_context() }}{{ named() }}",
        "{% autoescape false %}{{ escaping('<') }}{% endautoescape %}{{ escaping('<') }}",
        "{{ stop() is defined }}",
        "{% block b scoped %}{% set x = 7 %}{{ with_context(x) }}{{ method(x) }}{% endblock %}",
        "{% macro m(a, b=2) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, c=4) }}",
        "{% for x in [1] %}{% macro m(a) %}{{ a }}<{% endmacro %}{{ m(a=x) }}{% endfor %}",
        "{% for x in [1] %}{{ loop.cycle('a', 'b') }}{{ dict(a=x) }}{% endfor %}",
        "{% set ns = namespace(a=1) %}{{ ns.a }}{{ range(3)|list }}{{ ''.join(['<', 'b']) }}",
    ],
)
def test_everything_is_called_as_jinja_calls_it(
    environments: tuple[FlaskEnvironment, FlaskEnvironment], source: str
) -> None:
    theirs, ours = (each.from_string(source) for each in environments)
    assert ours.render(CALLS, value="v") == theirs.render(CALLS, value="v")


@pytest.mark.parametrize(
    ("source", "may"),
    [
        ("text", False),
        ("{{ value }}{% if value %}{{ value ~ 1 }}{% else %}{{ -value + 1 }}{% endif %}", False),
        ("{% set x = value %}{{ [x, {'a': x}] if value > 1 and not x else (x, 1) }}", False),
        ("{{ value.attribute }}", True),
        ("{{ value[0] }}", True),
        ("{{ value() }}", True),
        ("{{ value|upper }}", True),
        ("{{ value is string }}", True),
        ("{% for x in value %}{% endfor %}", True),
        ("{% set a, b = value %}", True),
        ("{{ value == 1 }}", False),
        ("{{ 1 in value }}", True),
        ("{% include value %}", True),
        ("{% extends value %}", True),
        ("{% block content %}{% endblock %}", True),
        ("{% autoescape value %}{% endautoescape %}", True),
    ],
)
def test_what_cannot_await_needs_no_greenlet(source: str, may: bool) -> None:
    template: Any = flasklike.App("quart").jinja_env.from_string(source)
    assert template.may_await is may


def test_byte_code_of_another_environment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ later() }}")

    def load(cls: Any, cache: str) -> Any:
        application = cls("cached", template_folder=str(tmp_path))
        bytecode = jinja2.FileSystemBytecodeCache(str(tmp_path), f"{cache}%s")
        application.jinja_options = {"bytecode_cache": bytecode}
        return application.jinja_env.get_template("page.html")

    assert [load(flasklike.App, "ours").may_await for _ in range(2)] == [True, True]
    load(flask.Flask, "theirs")
    with pytest.raises(jinja2.TemplateRuntimeError, match="compiled by another environment"):
        load(flasklike.App, "theirs")
