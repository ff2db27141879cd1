"""Templates as applications of Flask have them, from a random generator.

Everything that a template meets is a plain value on Flask. On flasklike it is awaitable, wherever
that is possible: variables, attributes, items, what is called, filters, tests, what loops iterate.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from random import Random
from typing import Any

from tests.system.parity.observe import describe_active_error
from tests.system.parity.run import Run
from tests.system.parity.specification import (
    Function,
    Handler,
    Hook,
    Request,
    Route,
    Scope,
    Spec,
    Step,
)
from tests.system.parity.vocabulary import Domain

FILES = {
    "base.html": "<main>{% block content %}{{ later('base') }}{% endblock %}{{ text }}</main>",
    "part.html": "<{{ later('part') }}{{ text }}{{ x }}>",
    "macros.html": "{% macro show(a, b=later('b')) %}[{{ a }}{{ 'no ' if not a }}{{ b }}"
    "{{ caller(later('c')) if caller }}]{% endmacro %}{% set top = later('top') %}",
}

# Names in capitals stand for another text, number, list or condition.
TEXTS = (
    *("'<b>'", "text", "nothing", "colour", "request.method", "thing.name", "thing['name']"),
    *("thing.child.name", "thing.child.child['name']", "thing.child.close", "thing.child.result"),
    *("request.form['name']", "request.form.name", "request.form.get('name', 'none')"),
    *("request.values['name']", "request.args['n']", "(request.get_json(silent=true)).name"),
    "(request.files['upload'].filename if 'upload' in request.files else 'no file')",
    *("active()", "keep(TEXT)", "g.kept", "g.get('seen', 0)", "joined(*LIST)"),
    *("later(TEXT)", "thing.method(TEXT)", "thing.method('x')", "named(**names())"),
    *(
        "TEXT|upper",
        "TEXT|late_upper",
        "'x'|late_upper",
        "TEXT|default('d', true)",
        "(TEXT ~ TEXT)",
    ),
    *("(TEXT if CONDITION else TEXT)", "(TEXT or TEXT)", "(TEXT and TEXT)", "LIST|join('-')"),
    *("LIST|map('late_upper')|join", "[thing, thing]|map(attribute='name')|join", "LIST|first"),
    *("steps(NUMBER)|join", "single()[0]", "later({'k': TEXT}).k", "{'k': later(TEXT)}['k']"),
    *(
        "[1, 2, 3]|select('late_odd')|join",
        "LIST|map('late_upper')|sort|join",
        "LIST|select|join",
        "(TEXT)[1:]",
        "waiting()|join",
    ),
)
NUMBERS = ("2", "later(3)", "LIST|length", "NUMBER + NUMBER", "thing.one", "steps(2)|sum")
LISTS = (
    *(
        "[TEXT, TEXT]",
        "items",
        "later([TEXT])",
        "thing.list()",
        "steps(2)|list",
        "LIST|reverse|list",
    ),
    *("waiting()|list", "single()", "[empty()]", "[]"),
)
CONDITIONS = (
    *("TEXT", "empty()", "thing.empty", "nothing", "not CONDITION", "NUMBER is late_odd"),
    *(
        "TEXT == TEXT",
        "'name' in request.form",
        "TEXT in LIST",
        "'' in single()",
        "NUMBER < NUMBER",
        "LIST",
    ),
    *("TEXT is string", "(CONDITION and CONDITION)", "request.form", "2 is late_odd"),
)
STATEMENTS = (
    *("{{ TEXT }}", "{{ TEXT }} ", "{{ NUMBER }}", "{{ TEXT }}{{ TEXT }}"),
    "{% if CONDITION %}BODY{% elif CONDITION %}BODY{% else %}-{% endif %}",
    "{% for x in LIST %}{{ x }}{{ 'no' if not x }}BODY{% else %}none{% endfor %}",
    "{% for x in steps(NUMBER) if x is late_odd %}{{ x }}{{ loop.last }}BODY{% endfor %}",
    "{% for x in waiting() %}{% if x %}{{ x }}{% else %}-{% endif %}{{ loop.index }}{% endfor %}",
    "{% for k, v in pairs() %}{{ k }}{% if v %}{{ v }}{% else %}-{% endif %}{% endfor %}",
    "{% for x in steps(2) recursive %}{{ x }}{{ loop(steps(1)) if loop.depth < 3 }}{% endfor %}",
    "{% for n in tree.kids recursive %}({{ loop(n.kids) }}){% endfor %}",
    "{% set x = TEXT %}{{ x }}{{ 'no' if not x }}BODY",
    "{% set a, b = pair() %}{{ a }}{% if b %}BAD{% endif %}",
    "{% set x %}BODY{% endset %}{{ x }}{{ x|length }}",
    "{% with x = TEXT %}{{ x }}BODY{% endwith %}",
    "{% macro m(a, b=TEXT) %}{{ a }}{% if b %}{{ b }}{% endif %}{% endmacro %}{{ m(TEXT) }}",
    "{% from 'macros.html' import show, top %}{{ top }}{{ show(TEXT) }}{{ show(*single()) }}",
    "{% import 'macros.html' as m %}{% call(c) m.show(TEXT) %}{{ c }}BODY{% endcall %}",
    "{% filter late_upper %}BODY{% endfilter %}",
    "{% include 'part.html' %}{% include later('part.html') %}",
    "{% autoescape false %}{{ TEXT }}{{ thing.name }}{% endautoescape %}",
    "{{ waiting() | select | join }}{{ get_flashed_messages() }}{{ url_for('index') }}",
)
RARELY = ("{{ late_boom() }}", "{{ request.json.name }}", "{{ later().absent.name }}")
FRAMES = ("BODYBODY", "BODYBODY", "{% extends 'base.html' %}{% block content %}BODY{% endblock %}")
SYMBOLS = {
    "TEXT": TEXTS,
    "NUMBER": NUMBERS,
    "LIST": LISTS,
    "CONDITION": CONDITIONS,
    "BODY": STATEMENTS,
}
ENDS = {"TEXT": "text", "NUMBER": "1", "LIST": "items", "CONDITION": "empty()", "BODY": "."}
"""What symbols stand for when a template has become long enough."""

MOST_SYMBOLS = 12
BODIES = ("", "form", "form", "multipart", "json", "form long", "json broken")


def source(random: Random) -> str:
    """The source of a template."""
    text, replaced = random.choice(FRAMES), 0
    if random.random() < 0.08:
        text += random.choice(RARELY)
    while found := [name for name in SYMBOLS if name in text]:
        name = random.choice(found)
        chosen = random.choice(SYMBOLS[name]) if replaced < MOST_SYMBOLS else ENDS[name]
        text = text.replace(name, chosen, 1)
        replaced += 1
    return text


def specification(seed: int) -> Spec:
    """An application whose view renders a template, and perhaps its error handler another."""
    random = Random(f"template {seed}")
    step = random.choice(("template", "template", "stream template"))
    view = Function((Step("write", "flash"), Step(step, source(random))))
    if random.random() < 0.2:
        view = Function((Step("raise", "Domain"),))
    handlers: tuple[Handler, ...] = (
        Handler("Domain", Function((Step("template", source(random)),))),
    )
    if random.random() < 0.3:
        handlers += (Handler("500", Function((Step("template", source(random)),))),)
    scope = Scope(
        handlers=handlers,
        hooks=(Hook("context_processor"),),
        routes=(Route(methods=("POST",), function=view),),
    )
    request = Request(method="POST", body=random.choice(BODIES))
    limit = (("MAX_CONTENT_LENGTH", 20),) if random.random() < 0.1 else ()
    return Spec(config=limit, scopes=(scope,), session="secret", requests=(request,))


class Awaitable:
    """One that warns nobody when it is not awaited, for what a template may leave in a list."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, Any]:
        return later(self._value).__await__()


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


async def asynchronous_steps(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


def steps(count: int) -> Iterator[int]:
    yield from range(count)


def functions(run: Run, awaitable: bool) -> dict[str, Any]:
    """What every template can call."""
    lift: Callable[[Any], Any] = later if awaitable else plain
    kept: Callable[[Any], Any] = Awaitable if awaitable else plain

    class Thing:
        name = property(lambda self: lift("<thing>"))
        empty = property(lambda self: lift(""))
        one = property(lambda self: lift(1))
        child = property(lambda self: lift(Thing()))
        close = property(lambda self: lift("close"))
        result = "result"

        def list(self) -> Any:
            return lift(["l", ""])

        def method(self, text: str) -> Any:
            return lift(f"method {text}")

        def __getitem__(self, name: str) -> Any:
            return getattr(self, name)

    class Tree:
        def __init__(self, *kids: Any) -> None:
            self._kids = kids

        kids = property(lambda self: lift(self._kids))

    def keep(text: Any) -> Any:
        def keep_now() -> str:
            run.web.g.kept = text
            return "kept"

        return when_awaited(keep_now) if awaitable else keep_now()

    def boom() -> Any:
        raise Domain("in a template")

    return {
        "active": describe_active_error,
        "empty": lambda: lift(""),
        "joined": lambda *texts: " ".join(map(str, texts)),
        "keep": keep,
        "late_boom": lambda: when_awaited(boom) if awaitable else boom(),
        "later": lambda value="later": lift(value),
        "named": lambda name: f"named {name}" if not name else "BAD",
        "names": lambda: {"name": kept("")},
        "pair": lambda: lift((kept("p"), kept(""))),
        "pairs": lambda: [("k", kept("v")), (kept("l"), kept(""))],
        "single": lambda: [kept("")],
        "steps": asynchronous_steps if awaitable else steps,
        "thing": Thing(),
        "tree": Tree(Tree(), Tree(Tree())),
        "waiting": lambda: [kept("w"), kept(""), kept("<")],
    }


def plain(value: Any) -> Any:
    return value


async def when_awaited(function: Callable[[], Any]) -> Any:
    await asyncio.sleep(0)
    return function()


def prepare(run: Run) -> dict[str, Any]:
    """Add filters, tests and globals to the application; returns the variables of a rendering."""
    awaitable = run.side.awaitable
    lift: Callable[[Any], Any] = later if awaitable else plain
    environment = run.web.current_app.jinja_env
    if "later" not in environment.globals:
        environment.globals.update(functions(run, awaitable))
        environment.filters["late_upper"] = lambda value: lift(str(value).upper())
        environment.tests["late_odd"] = lambda value: lift(value % 2 == 1)
    kept: Callable[[Any], Any] = Awaitable if awaitable else plain  # if a context processor fails
    return {"text": kept("t<"), "nothing": kept(""), "items": kept(["i", ""])}
