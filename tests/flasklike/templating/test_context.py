"""What surrounds a template that awaits is left as it is: contexts, errors, tasks, memory."""

import asyncio
import gc
import sys
import traceback
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
import quart
from jinja2 import DictLoader, TemplateRuntimeError
from quart import g, request, session
from quart.signals import template_rendered

from quartapp.flasklike import (
    App,
    render_template,
    render_template_string,
    stream_template_string,
    url_for,
)

variable: ContextVar[str] = ContextVar("variable", default="unset")

FILES = {
    "lines.html": "one\ntwo\n{% if true %}\n  {{ fail()|upper }}\n{% endif %}\n",
    "outer.html": "{% extends 'base.html' %}\n{% block content %}\n{% include 'lines.html' %}"
    "{% endblock %}",
    "base.html": "<main>{% block content %}{% endblock %}</main>",
    "macros.html": "\n{% macro hello(name) %}\n{{ later(name) }}{% endmacro %}",
    "again.html": "{{ again() }}",
}


async def later(value: Any = "later") -> Any:
    await asyncio.sleep(0)
    return value


async def fail() -> str:
    await asyncio.sleep(0)
    raise ValueError("awaited")


async def steps(*values: Any) -> AsyncIterator[Any]:
    for value in values or (0, 1, 2):
        await asyncio.sleep(0)
        yield value


@pytest.fixture
def app() -> App:
    app = App("templating")
    app.secret_key = "secret"
    app.jinja_env.loader = DictLoader(FILES)
    app.jinja_env.globals.update(later=later, fail=fail, steps=steps)
    return app


# What a template sees and changes


async def test_contexts_are_those_of_the_request_before_and_after_awaiting(app: App) -> None:
    async def look() -> str:
        await asyncio.sleep(0)
        return f"{g.value} {request.path} {session['user']} {url_for('view', page=2)};"

    @app.get("/")
    async def view() -> str:
        g.value, session["user"] = "kept", "susan"
        text = await render_template_string("{{ look() }}{{ g.value }}{{ look() }}", look=look)
        return f"{text} {g.value} {request.path} {session['user']}"

    clients = [app.test_client() for _ in range(3)]
    texts = await asyncio.gather(*(text_of(client, "/") for client in clients))
    assert set(texts) == {"kept / susan /?page=2;kept" + "kept / susan /?page=2; kept / susan"}


async def text_of(client: Any, path: str, **arguments: Any) -> str:
    response = await client.open(path, **arguments)
    text: str = await response.get_data(as_text=True)
    return text


async def test_contextvars_that_an_awaitable_changes_are_changed(app: App) -> None:
    async def change(value: str) -> str:
        await asyncio.sleep(0)
        variable.set(value)
        return ""

    functions: dict[str, Any] = {"change": change, "get": lambda: variable.get()}
    source = "{{ get() }} {{ change('a') }}{{ get() }} {{ change('b') }}{{ get() }}"
    async with app.app_context():
        assert await render_template_string(source, **functions) == "unset a b"
        assert variable.get() == "b"
        stream = await stream_template_string(source, **functions)
        assert "".join([part async for part in stream]) == "b a b"


async def test_the_handled_exception_is_the_same_after_awaiting(app: App) -> None:
    def active() -> str:
        return repr(sys.exc_info()[1])

    @app.errorhandler(LookupError)
    async def handle(error: Exception) -> str:
        return await render_template_string("{{ a() }}{{ later() }}{{ a() }}", a=active)

    @app.get("/")
    async def view() -> str:
        raise LookupError

    assert await text_of(app.test_client(), "/") == "LookupError()laterLookupError()"
    async with app.app_context():
        assert await render_template_string("{{ a() }}{{ later() }}{{ a() }}", a=active) == (
            "NonelaterNone"
        )


async def test_a_template_may_render_another(app: App) -> None:
    async def partial(depth: int) -> str:
        rest = "{{ partial(depth - 1) if depth else later('end') }}"
        return await render_template_string(f"{{{{ later(depth) }}}}{rest}", depth=depth, **own)

    own: dict[str, Any] = {"partial": partial}
    async with app.app_context():
        assert await partial(3) == "3210end"


@pytest.mark.slow
@pytest.mark.lenient("coroutines", "blocks")
async def test_a_template_without_end_is_a_recursion_error(app: App) -> None:
    async def again() -> str:
        return await render_template("again.html", again=again)

    async with app.app_context():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the innermost is never awaited
            with pytest.raises(RecursionError):
                await again()
            gc.collect()
        assert await render_template_string("{{ later() }}") == "later"


# Variables


async def test_variables_of_processors_and_globals_are_awaited(app: App) -> None:
    @app.context_processor
    async def process() -> dict[str, Any]:
        return {"processed": later("")}

    seen: list[Any] = []

    def receive(_: Any, template: Any, context: dict[str, Any]) -> None:
        seen.append((context["given"], context["processed"]))

    source = (
        "{{ 'BAD' if given or processed or common }}{% if not unused %}{{ given }}ok{% endif %}"
    )
    for module in (None, quart):
        render = render_template_string if module is None else module.render_template_string
        app.jinja_env.globals["common"] = asyncio.ensure_future(later(0))
        async with app.test_request_context("/"):
            with template_rendered.connected_to(receive, app):
                assert await render(source, given=later("")) == "ok"
    assert seen[0] == ("", "")


async def test_the_error_of_a_variable_names_it(app: App) -> None:
    async with app.app_context():
        with pytest.raises(ValueError, match="awaited") as raised:
            await render_template("base.html", posts=fail())
    assert raised.value.__notes__ == [
        "It was awaited as the variable 'posts' of template 'base.html'."
    ]


async def test_variables_are_awaited_in_an_asynchronous_environment_too(app: App) -> None:
    other = App("other")
    other.jinja_options = {"enable_async": True}
    async with other.app_context():
        source = "{% if x %}BAD{% endif %}{{ later('a') }}{{ 'b'|map('upper')|first }}"
        assert await render_template_string(source, x=later(""), later=later) == "aB"


# Errors


async def test_the_traceback_names_the_line_of_the_template_and_the_awaited_function(
    app: App,
) -> None:
    async with app.app_context():
        with pytest.raises(ValueError, match="awaited") as raised:
            await render_template("outer.html")
    frames = traceback.extract_tb(raised.value.__traceback__)
    templates = [frame.lineno for frame in frames if frame.filename == "<template>"]
    assert templates == [1, 1, 3, 4]
    assert [frame.name for frame in frames][-2:] == ["top-level template code", "fail"]
    assert raised.value.__context__ is None


async def test_an_error_in_an_error_handlers_template_has_the_first_as_its_context(
    app: App,
) -> None:
    first = KeyError("first")
    async with app.app_context():
        with pytest.raises(ValueError, match="awaited") as raised:
            await while_handling(first, render_template_string("{{ later() }}{{ fail() }}"))
    assert raised.value.__context__ is first


async def while_handling(error: Exception, rendering: Awaitable[str]) -> str:
    try:
        raise error
    except KeyError:
        return await rendering


@pytest.mark.parametrize(
    "render",
    [
        lambda template: template.render(),
        lambda template: "".join(template.generate()),
        lambda template: template.module,
    ],
)
async def test_a_rendering_by_hand_says_which_line_cannot_be_awaited(
    app: App, render: Callable[[Any], Any]
) -> None:
    with pytest.raises(TemplateRuntimeError) as raised:
        render(app.jinja_env.get_template("lines.html"))
    assert str(raised.value) == (
        "'fail', a coroutine, cannot be awaited in template 'lines.html', line 4, because nothing"
        " that can await has called the template: write `await render_template(...)`, or"
        " `await template.render_async(...)` instead of `template.render(...)`."
    )


async def test_a_macro_called_by_hand_says_which_line_cannot_be_awaited(app: App) -> None:
    macro = app.jinja_env.get_template("macros.html").module.hello  # type: ignore[attr-defined]
    with pytest.raises(TemplateRuntimeError, match=r"in template 'macros.html', line 3,"):
        macro("susan")
    async with app.app_context():
        assert await render_template_string("{{ macro('susan') }}", macro=macro) == "\nsusan"


async def test_a_variable_of_a_rendering_by_hand_is_named(app: App) -> None:
    template = app.jinja_env.from_string("{{ x }}")
    assert template.render(x=1) == "1"
    with pytest.raises(TemplateRuntimeError, match="'later', a coroutine, cannot") as raised:
        template.render(x=later())
    assert raised.value.__notes__ == [
        "It was awaited as the variable 'x' of a template without a name."
    ]
    future: Any = asyncio.get_running_loop().create_future()
    with pytest.raises(TemplateRuntimeError, match="an awaitable Future cannot be awaited"):
        template.render(x=future)


# Cancellation, streams and memory


async def test_a_cancellation_arrives_in_the_template(app: App) -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("wait")

    async with app.app_context():
        task = asyncio.create_task(render_template_string("{{ later() }}{{ wait() }}", wait=wait))
        while len(ended) == 0 and not task.done():
            await asyncio.sleep(0.001)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await render_template_string(
                    "{% for _ in steps() %}{{ wait() }}{% endfor %}", wait=wait
                )
        assert ended == ["wait", "wait"]
        assert await render_template_string("{{ later() }}") == "later"


async def test_a_stream_that_is_left_is_closed_in_its_task(app: App) -> None:
    closed: list[Any] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            while True:
                await asyncio.sleep(0)
                yield 1
        finally:
            await asyncio.sleep(0)
            closed.append((asyncio.current_task(), request.path))

    source = "{% for n in numbers() %}{{ n ~ later() }}{% endfor %}"
    for _ in range(2):
        async with app.test_request_context("/path"):
            stream: Any = await stream_template_string(source, numbers=numbers)
            assert [await anext(stream) for _ in range(2)] == ["1later"] * 2
            await stream.aclose()
    assert closed == [(asyncio.current_task(), "/path")] * 2


async def test_a_stream_awaits_and_its_errors_arrive(app: App) -> None:
    @app.get("/")
    async def view() -> Any:
        g.value = later("g")
        return await stream_template_string(
            "{{ g.value }}{% for n in steps() %}{{ n }}{{ later(request.path) }}{% endfor %}"
        )

    assert await text_of(app.test_client(), "/") == "g0/1/2/"
    async with app.test_request_context("/"):
        stream = await stream_template_string("{{ later() }}{{ fail() }}")
        assert await anext(stream) == "later"
        with pytest.raises(ValueError, match="awaited"):
            await anext(stream)


@pytest.fixture
def garbage() -> Iterator[Callable[[], list[Any]]]:
    """What only the garbage collector would free, since the last call."""

    def collect() -> list[Any]:
        gc.collect()
        found = list(gc.garbage)
        gc.garbage.clear()
        return found

    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield collect
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


@pytest.mark.slow
async def test_nothing_is_left_to_the_garbage_collector(
    app: App, garbage: Callable[[], list[Any]]
) -> None:
    source = "{{ later() }}{% for n in steps() recursive %}{{ n }}{% endfor %}{{ x }}"
    template = app.jinja_env.from_string(source)
    await template.render_async(x=later())
    garbage()
    await template.render_async(x=later())
    assert [part async for part in template.generate_async(x=later())]
    assert garbage() == []
