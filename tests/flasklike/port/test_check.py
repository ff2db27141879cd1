"""The linter finds forgotten awaits, and nothing else."""

from pathlib import Path
from textwrap import dedent

import libcst as cst
import pytest

from quartapp.flasklike.port.check import check
from quartapp.flasklike.port.command import run
from quartapp.flasklike.port.coroutines import Coroutines
from quartapp.flasklike.port.inference import Inference
from quartapp.flasklike.port.program import Program, Reader

HEAD = """\
import asyncio
from quartapp.flasklike import App, abort, flash, g, jsonify, render_template, request, session
from quartapp.flasklike import make_response, url_for
app = App(__name__)
async def load(): return 1
"""


def found(text: str, path: str = "views.py") -> list[str]:
    tree = cst.parse_module(HEAD + dedent(text))
    program = Program([Reader(tree, Path(path)).module])
    coroutines = Coroutines(Inference(program, ported=True), convert=False, declared=True)
    return [f"{f.line - 5}:{f.column}: {f.text}" for f in check(coroutines)]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('return render_template("x.html")', "2:12: render_template() is not awaited"),
        ('return render_template("x.html"), 404', "2:12: render_template() is not awaited"),
        ('flash("x")', "2:5: flash() is not awaited"),
        ('return request.form["x"]', "2:12: request.form is not awaited"),
        ("if request.form: pass", "2:8: request.form is not awaited"),
        ('return f"{request.get_json()}"', "2:15: request.get_json() is not awaited"),
        ("form = request.form\n    return form['x']", "2:12: request.form is not awaited"),
        ("return [x for x in request.files]", "2:24: request.files is not awaited"),
        ("load()", "2:5: load() is not awaited"),
        ("return 1 + load()", "2:16: load() is not awaited"),
        ("return str(load())", "2:16: load() is not awaited"),
        ("with app.app_context(): pass", "2:10: app.app_context() is entered with `async with`"),
        (
            "with app.test_client() as c: pass",
            "2:10: app.test_client() is entered with `async with`",
        ),
        (
            "class R(app.request_class): pass\n    real = app._get_current_object()\n"
            "    with real.app_context(): pass",
            "4:10: real.app_context() is entered with `async with`",
        ),
        (
            "async def rows(): yield 1\n    for row in rows(): pass",
            "3:16: rows() is iterated with `async for`",
        ),
        (
            'def title(): return request.form["x"]\n    return title()',
            "2:25: request.form is not awaited: title is no coroutine function, and view calls it"
            " in the event loop",
        ),
    ],
)
def test_a_forgotten_await_is_found(body: str, text: str) -> None:
    assert found(f"async def view():\n    {body}\n") == [text]


@pytest.mark.parametrize(
    "body",
    [
        'return "x", 200, {"X-A": load()}',
        'return {"a": load()}',
        'return app.response_class("x", headers={"X-A": load()})',
        'headers = {"X-A": load()}',
        'response.headers["X-A"] = load()',
        'response.set_cookie("a", load())',
        'return await make_response("x", 200, {"X-A": load()})',
        'response.headers.add("X-A", load())',
        'response.headers.update({"X-A": load()})',
        "g.a = load()",
        "g.a = load()\n    return g.a + 1",
        'session["a"] = load()',
        'return url_for("x", q=load())',
        'return jsonify({"a": load()})',
        "abort(404, load())",
    ],
)
def test_a_coroutine_in_what_awaits_nothing_is_found(body: str) -> None:
    text = f"@app.get('/')\nasync def view(response):\n    {body}\n"
    assert [line.partition(": ")[2] for line in found(text)] == ["load() is not awaited"]


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nfrom quartapp.flasklike import *",
        "from quart import *",
        "from shared import *",
        "from shared import request, render_template, load",
    ],
)
def test_names_of_a_star_import_are_known(text: str) -> None:
    sources = {
        "views.py": f"{text}\nasync def view():\n    load()\n    open(request.form['x'])\n"
        "    return render_template('x')\nasync def load(): pass\n",
        "shared.py": "from other import *\nfrom quartapp.flasklike import *\n",
        "other.py": "from shared import *\n",
    }
    modules = [Reader(cst.parse_module(text), Path(name)).module for name, text in sources.items()]
    coroutines = Coroutines(Inference(Program(modules), ported=True), convert=False, declared=True)
    assert [finding.text for finding in check(coroutines)] == [
        "load() is not awaited",
        "request.form is not awaited",
        "render_template() is not awaited",
    ]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('return "in" if load() else "out"', "2:20: load()"),
        ('return f"{load()}"', "2:15: load()"),
        ('if not load(): return "out"', "2:12: load()"),
        ('value = load()\n    return f"{value}"', "2:13: load()"),
        ("load()", "2:5: load()"),
    ],
)
def test_a_plain_function_cannot_await_coroutines_of_its_application(body: str, place: str) -> None:
    assert found(f"def view():\n    {body}\n") == [
        f"{place} is not awaited: make view `async def`, or call current_app.ensure_sync(load)()"
    ]


def test_a_test_has_no_application_to_wait_with() -> None:
    text = "def test_load():\n    assert load(1)\n"
    assert found(text, "test_views.py") == [
        "2:12: load() is not awaited: make test_load `async def`"
    ]
    assert found(text) == [
        "2:12: load() is not awaited: make test_load `async def`,"
        " or call current_app.ensure_sync(load)(...)"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "async def view(): return await render_template('x', posts=load())",
        "async def view(): return (await request.form)['x']",
        "def plain():\n    flash('x')\n    return render_template('x', title=request.form['x'])",
        "async def view():\n    task = load()\n    return await task",
        "async def view():\n    task = load()\n    g.tasks = [task]",
        "async def view():\n    g.task = load()\n    return await g.task",
        "async def view(): g.task = load()\nasync def after(): await asyncio.gather(g.task)",
        "async def view(): g.task = load()\nasync def after(): await g.pop('task')",
        "async def view(): g.task = load()\nasync def after(): await getattr(g, 'task')",
        "async def view(): g.task = asyncio.create_task(load())",
        "async def view():\n    g.a = load()\n    return await render_string('{{ g.a }}')",
        "async def view():\n    jobs = {'a': load()}\n    await asyncio.gather(*jobs.values())",
        "async def view():\n    g.jobs = {'a': load()}",
        "async def view(): await render_template('x', **{'a': load()})",
        "@app.context_processor\nasync def add(): return {'a': load()}",
        "async def jobs(): return {'a': load()}",
        "async def jobs(): return 'x', {'a': load()}",
        "async def view():\n    async with asyncio.TaskGroup() as group:\n"
        "        group.create_task(load())",
        "async def outer(): return load()\nasync def view(): return await (await outer())",
        "async def outer(): return load()\nasync def view():\n    task = await outer()\n"
        "    return await task",
        "async def view(): await asyncio.gather(load(), *[load() for _ in 'ab'])",
        "async def view(): asyncio.create_task(load())",
        "async def view(): app.add_background_task(load)",
        "async def view(request): return request.form['x']",
        "async def view():\n    request = {}\n    return request.form",
        "def later(): return load()",
        "def later():\n    value = load()\n    return value",
        "def plain(): return str(asyncio.run(load()))",
        "def plain(): return [app.ensure_sync(load)()]",
        "def plain():\n    run = app.ensure_sync(load)\n    return f'{run()}'",
        "def plain(): app.add_background_task(load)",
        "def plain():\n    jobs = [load() for _ in 'ab']\n    return asyncio.run(wait(jobs))",
        "def plain():\n    value = load()\n    value.close()",
        "def plain():\n    value = load()\n    return app.ensure_sync(lambda: value)()",
        "import flask\nasync def view(): return flask.render_template('x')",
        "def deco(f): return 1\n@deco\nasync def made(): pass\nasync def view(): return made + 1",
        "from x import sync\n@sync\nasync def made(): pass\nasync def view(): return made() + 1",
        "import contextlib\n@contextlib.asynccontextmanager\nasync def made(): yield\n"
        "async def view():\n    async with made(): pass",
        "async def test(): assert (await app.test_client().get('/')).json == {}",
        "def deco(f):\n    async def rows():\n        async for row in f(): yield row\n"
        "    return rows\ndeco(load)",
        "async def rows(): yield 1\nasync def view():\n    async for row in rows(): pass",
        "async def view(): return lambda: request.form['x']",
        "async def view():\n    response = await app.make_response('x')\n    response.data = b'y'",
    ],
)
def test_what_may_be_meant_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_package_that_imports_itself(tmp_path: Path) -> None:
    package = tmp_path / "site"
    package.mkdir()
    (package / "__init__.py").write_text("from . import views\nviews.x, views.none\n")
    (package / "views.py").write_text("import site\nfrom . import other\nsite.views.x\n")
    assert run([str(package), "--check"]) == 0


def test_a_template_awaits_what_g_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "views.py").write_text(
        "from quartapp.flasklike import g\nasync def load(): pass\n"
        "async def view():\n    g.shown = load()\n    g.lost = load()\n"
    )
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "x.html").write_text("{{ g.shown }} {{ img.lost }}")
    assert run([str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().out == "views.py:5:14: load() is not awaited\n"


def test_methods_of_an_own_request_class_are_known() -> None:
    text = """\
    from quartapp.flasklike import Request
    class R(Request):
        def get_json(self): return super().get_json()
        async def field(self): return (await self.form)["x"]
    async def view(): return request.get_json()["x"] + request.field()
    """
    assert found(text) == [
        "5:26: request.get_json() is not awaited",
        "5:52: request.field() is not awaited",
    ]
