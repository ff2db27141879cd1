"""Templates that meet awaitables give the text that Flask gives for their results."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import flask
import jinja2
import pytest
import quart
from jinja2 import DictLoader
from markupsafe import Markup

from quartapp.flasklike import (
    App,
    render_template_string,
    stream_template_string,
)

FILES = {
    "base.html": "[{% block a %}base {{ later('b') }}{% endblock %}]",
    "child.html": "{% extends 'base.html' %}{% block a %}{{ super() }}+{{ later('c') }}"
    "{% if empty() %}BAD{% endif %}{% endblock %}",
    "part.html": "{{ later('part') }}{{ text }}",
    "macros.html": "{% set top = later('top') %}"
    "{% macro m(a, b=later('d')) %}<{{ a }}{{ b }}{{ caller(later('e')) if caller }}>"
    "{% endmacro %}",
}

SOURCES = [
    # attributes, items and calls
    "{{ later() }}{{ later('<') }}{{ thing.name }}{{ thing['name'] }}{{ thing.missing }}",
    "{{ thing.child.name }}{{ thing.child.child.name }}{{ thing.child['child']['name'] }}",
    "{{ thing.child.close }}{{ thing.child.result }}{{ later(thing).close }}",
    "{{ later(thing).name|upper }}{{ (later(thing)).child.list()[0] }}{{ thing.method('x')('y') }}",
    "{{ later([1, 2, 3])[1] }}{{ later([1, 2, 3])[1:] }}{{ later({'k': 'v'}).k }}{{ later().x }}",
    # conditions and operators
    "{% if empty() %}BAD{% elif not empty() %}ok{% endif %}{% if thing.nothing %}BAD{% endif %}",
    "{{ 'BAD' if thing.nothing else later('else') }}{{ empty() or 'or' }}{{ later() and 'and' }}",
    "{{ later('a') + later('b') }}{{ later(2) * 3 }}{{ -later(2) }}{{ later('a') ~ empty() ~ 1 }}",
    "{{ later('a') == 'a' }}{{ 'a' in later('abc') }}{{ 1 < later(2) < 3 }}{{ not empty() }}",
    "{{ [later('a'), empty()]|join('-') }}{{ {'k': later('v')} }}{{ (later(1), later(2)) }}",
    "{{ '' in single() }}{{ 'p' not in pair() }}{{ 'v' in {'v': later()} }}{{ 't' in text }}",
    # variables
    "{{ text }}{% if nothing %}BAD{% endif %}{{ 'BAD' if nothing }}{{ text ~ '<' }}{{ text == 1 }}",
    "{{ text|upper }}{{ text is string }}{{ text }}{{ items[0] }}{{ items|length }}{{ items }}",
    "{% if nothing or not text %}BAD{% endif %}{% for x in items %}{{ loop.last }}{% endfor %}",
    "{% set x = text %}{{ x }}{{ 'BAD' if not x }}{% with y = nothing or 1 %}{{ y }}{% endwith %}",
    # loops
    "{% for x in steps(3) %}{{ x }},{% endfor %}{% for x in steps(0) %}{% else %}none{% endfor %}",
    "{% for x in steps(3) %}{{ loop.index }}/{{ loop.length }}{{ loop.last }} {% endfor %}",
    "{% for x in steps(4) if x is late_odd %}{{ x }}{{ loop.nextitem }}{% endfor %}",
    "{% for x in later([1, 2]) %}{{ x }}{% for y in thing.list() %}{{ y }}{% endfor %}{% endfor %}",
    "{% for x in waiting() %}{% if x %}{{ x }}{% else %}-{% endif %}{% endfor %}",
    "{% for x in waiting() %}{{ loop.previtem }}{{ loop.length }}{% endfor %}",
    "{% for x in waiting() if x %}{{ x }}{% endfor %}",
    "{% for k in later({'a': 1}) %}{{ k }}{% endfor %}",
    "{% for k, v in pairs() %}{{ k }}{% if v %}{{ v }}{% else %}-{% endif %}{% endfor %}",
    "{% for k, (a, b) in nested() recursive %}{{ k }}{{ a if a else '-' }}{{ b }}{% endfor %}",
    "{% for n in tree.kids recursive %}({{ loop(n.kids) }}){% endfor %}",
    "{% for n in steps(3) recursive %}{{ n }}{{ loop(steps(2)) if loop.depth < 3 }}{% endfor %}",
    "{% for n in steps(3) if n recursive %}{{ n }}{{ loop(later([])) }}{% else %}-{% endfor %}",
    "{% for k, v in {'a': later(), 'b': empty()}.items() %}{{ k }}{{ v }}{{ not v }}{% endfor %}",
    # filters and tests
    "{{ later()|upper }}{{ 'x'|late_upper }}{{ later('y')|late_upper|lower }}{{ 3 is late_odd }}",
    "{{ steps(3)|join('-') }}{{ steps(3)|list }}{{ steps(3)|sum }}{{ steps(3)|first }}",
    "{{ waiting()|join('-') }}{{ waiting()|select|list }}{{ single()|first }}{{ single()|last }}",
    "{{ ['a', 'b']|map('late_upper')|join }}{{ [1, 2, 3]|select('late_odd')|list }}",
    "{{ [thing, thing]|map(attribute='name')|join }}{{ [thing]|sum(attribute='one') }}",
    "{{ [thing]|selectattr('nothing')|list|length }}{{ [thing, thing]|groupby('name')|length }}",
    "{{ thing|attr('name') }}{{ empty()|default('d', true) }}{{ later([2, 1])|sort }}",
    "{% filter late_upper %}x{{ later() }}{% endfilter %}",
    "{% filter upper %}{{ later() }}{% endfilter %}{{ later()|e }}",
    "{{ later() is string }}{{ later() is defined }}{{ later(3) is late_odd }}{{ 2 is late_odd }}",
    # assignments, and calls with unpacked arguments
    "{% set x = later() %}{{ x }}{{ x }}{% set x %}a{{ later() }}{% endset %}{{ x }}{{ x|upper }}",
    "{% set a, b = pair() %}{{ a }}{% if b %}BAD{% endif %}{% set c, d = later('12') %}{{ c }}",
    "{% set ns = namespace(a=later()) %}{{ ns.a }}{% set ns.a = empty() %}{{ 'BAD' if ns.a }}",
    "{% macro m(a, b='') %}{{ a if a else '-' }}{{ b }}{% endmacro %}{{ m(*single()) }}",
    "{% macro m(a, b='') %}{{ a if a else '-' }}{{ b }}{% endmacro %}{{ m(**{'a': empty()}) }}",
    # macros, blocks and other templates
    "{% macro m(a) %}{{ a }}{{ a }}{{ later() }}{% endmacro %}{{ m(later('x')) }}{{ m(1)|upper }}",
    "{% from 'macros.html' import m, top %}{{ top }}{% call(x) m(later()) %}{{ x }}{% endcall %}",
    "{% import 'macros.html' as macros %}{{ macros.m(1) }}{{ macros.top }}",
    "{% import 'macros.html' as macros with context %}{{ macros.m(later()) }}{{ text }}",
    "{% include 'part.html' %}{% include later('part.html') %}",
    "{% include 'part.html' without context %}{{ later() }}",
    "{% set text = 'own' %}{% include ['missing.html', 'part.html'] %}{% include 'child.html' %}",
    "{% extends later('base.html') %}{% block a %}{{ later() }}{{ super() }}{% endblock %}",
    "{% block z %}{{ later() }}{% endblock %}{{ self.z() }}{{ self.z()|length }}",
    # escaping
    "{% autoescape false %}{{ later('<') }}{{ thing.tag }}{{ text }}{% endautoescape %}{{ text }}",
    "{% autoescape text %}{{ later('<') }}{{ thing.tag }}{% endautoescape %}{{ thing.tag }}",
    "{{ later('<')|safe }}{{ safe() }}{{ safe() ~ '<' }}{{ later('<')|e }}{{ '<' ~ safe() }}",
]


class Awaitable:
    """One that is neither a coroutine nor a future, and has an attribute of its own."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, Any]:
        return later(self._value).__await__()


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


async def twice(value: Any) -> Any:
    return later(value)  # somebody forgot to await it


def task(value: Any) -> Any:
    return asyncio.ensure_future(later(value))


def values(lift: Callable[[Any], Any], steps: Callable[[int], Any]) -> dict[str, Any]:
    """What the sources name, with the results that are *lift*ed, and loops over *steps*."""

    class Thing:
        name = property(lambda self: lift("thing"))
        tag = property(lambda self: lift("<tag>"))
        one = property(lambda self: lift(1))
        nothing = property(lambda self: lift(""))
        child = property(lambda self: lift(Thing()))
        close = "its own"
        result = property(lambda self: lift("result"))

        def list(self) -> Any:
            return lift(["l1", "l2"])

        def method(self, x: str) -> Any:
            return lift(lambda y: lift(x + y))

        def __getitem__(self, name: str) -> Any:
            return getattr(self, name)

    class Tree:
        def __init__(self, *kids: Any) -> None:
            self._kids = kids

        kids = property(lambda self: lift(self._kids))

    return {
        "later": lambda value="later": lift(value),
        "empty": lambda: lift(""),
        "safe": lambda: lift(Markup("<i>")),
        "single": lambda: [lift("")],
        "pair": lambda: (lift("p"), lift("")),
        "waiting": lambda: [lift("w"), lift(""), lift("<")],
        "pairs": lambda: [("k", lift("v")), (lift("l"), lift(""))],
        "nested": lambda: lift([("n", (lift(""), lift("b"))), ("m", [lift("c"), "d"])]),
        "steps": steps,
        "thing": Thing(),
        "tree": Tree(Tree(), Tree(Tree(), Tree())),
        "text": lift("t<"),
        "nothing": lift(""),
        "items": lift(["i", "j"]),
    }


def add_files_and_functions(environment: jinja2.Environment, lift: Callable[[Any], Any]) -> None:
    environment.loader = DictLoader(FILES)
    environment.filters["late_upper"] = lambda value: lift(str(value).upper())
    environment.tests["late_odd"] = lambda value: lift(value % 2 == 1)


def expected(source: str) -> str:
    """What Flask renders when nothing is awaitable."""

    def steps(count: int) -> Iterator[int]:
        yield from range(count)

    environment = flask.Flask("flask").jinja_env
    add_files_and_functions(environment, lambda value: value)
    context = values(lambda value: value, steps)
    environment.globals.update(of_every_template(context))
    return environment.from_string(source).render(**context)


def of_every_template(context: dict[str, Any]) -> dict[str, Any]:
    """What templates see that are imported or included without context."""
    return {name: context[name] for name in ("later", "empty", "thing")}


async def asynchronous_steps(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


@pytest.mark.parametrize(
    ("lift", "source"),
    [
        *((lift, source) for source in SOURCES for lift in (later, Awaitable)),
        *((lift, source) for source in SOURCES[::6] for lift in (twice, task)),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_the_text_is_that_of_the_results(source: str, lift: Callable[[Any], Any]) -> None:
    app = App("quart")
    add_files_and_functions(app.jinja_env, lift)

    def context() -> dict[str, Any]:
        """New for each rendering, because a coroutine can be awaited once."""
        context = values(lift, asynchronous_steps)
        app.jinja_env.globals.update(of_every_template(context))
        return context

    text = expected(source)
    async with app.test_request_context("/"):
        assert await render_template_string(source, **context()) == text
        assert await quart.render_template_string(source, **context()) == text
        for stream in (stream_template_string, quart.stream_template_string):
            parts = await stream(source, **context())
            assert "".join([part async for part in parts]) == text


def test_each_source_shows_something() -> None:
    texts = [expected(source) for source in SOURCES]
    assert all(texts)
    assert "BAD" not in "".join(texts)
    assert "object" not in "".join(texts)
