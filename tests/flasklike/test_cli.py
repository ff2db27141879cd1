"""Commands; Flask runs the same ones where it can."""

import asyncio
import sqlite3
from contextvars import copy_context
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import flask
import flask.cli
import pytest
from click.testing import CliRunner

import quartapp.flasklike.cli
from quartapp import flasklike
from quartapp.flasklike import App, current_app, g, has_app_context
from quartapp.flasklike.cli import AppGroup, with_appcontext
from tests.flasklike.test_names import names_of

FLASK = SimpleNamespace(web=flask, cli=flask.cli, Application=flask.Flask)
OURS = SimpleNamespace(web=flasklike, cli=quartapp.flasklike.cli, Application=App)


def make_app(side: Any) -> Any:
    """An application whose commands say what they see."""
    app = side.Application("commands")
    blueprint, quiet, flat = (
        side.web.Blueprint("pages", __name__),
        side.web.Blueprint("quiet", __name__, cli_group="loud"),
        side.web.Blueprint("flat", __name__, cli_group=None),
    )
    app.teardown_appcontext(lambda error: click.echo(f"left {error!r}"))

    def see(name: str) -> None:
        found = side.web.current_app.name if side.web.current_app else None
        click.echo(f"{name} in {found}")

    def seen(_context: Any, _parameter: Any, value: str) -> str:
        see("parameter")
        return value

    @click.argument("name")
    @click.option("--times", type=int, default=1, callback=seen)
    def greet(name: str, times: int) -> None:
        """Greet somebody."""
        see("greet")
        click.echo(name * times)

    def plain() -> None:
        see("plain")

    def fails() -> None:
        raise click.ClickException("no")

    def breaks() -> None:
        raise ValueError("broken")

    @click.pass_context
    def exits(context: click.Context) -> None:
        context.exit(3)

    for function in greet, fails, breaks, exits:
        app.cli.command()(function)
    app.cli.command(with_appcontext=False)(plain)
    group = app.cli.group("group")(lambda: see("group"))
    group.command("inner")(lambda: see("inner"))
    added = click.command("added")(side.cli.with_appcontext(lambda: see("added")))

    @click.command("outside")
    def outside() -> None:
        see("outside")

    app.cli.add_command(added)
    app.cli.add_command(outside)
    for one in blueprint, quiet, flat:
        one.cli.command(f"of-{one.name}")(lambda: see("blueprint"))
        app.register_blueprint(one)
    return app


ARGUMENTS = [
    *(
        "",
        "--help",
        "greet Ann",
        "greet Ann --times 2",
        "greet",
        "greet Ann --times x",
        "greet --help",
    ),
    *("plain", "fails", "breaks", "exits", "group inner", "group", "added", "outside"),
    *("pages of-pages", "loud of-quiet", "of-flat"),
]


@pytest.mark.parametrize(
    ("arguments", "custom"),
    [
        *((arguments, False) for arguments in [*ARGUMENTS, "unknown"]),
        *((arguments, True) for arguments in ARGUMENTS),
    ],
)
def test_commands_run_as_in_flask(arguments: str, custom: bool) -> None:
    outcomes = []
    for side in FLASK, OURS:
        app = make_app(side)
        if custom:  # a script of the application's own
            script = side.cli.FlaskGroup(create_app=lambda app=app: app)
            invoke = partial(CliRunner().invoke, script, arguments.split())
        else:
            invoke = partial(app.test_cli_runner().invoke, args=arguments.split())
        # Flask leaves its context where it is after the --help of a script.
        result = copy_context().run(invoke) if side is FLASK else invoke()
        assert not has_app_context()
        output = result.output
        if custom and arguments in {"", "--help"}:  # the options and commands of the framework
            output = " ".join(sorted(set(output.split()) & {"Commands:", "added", "greet", "loud"}))
        outcomes.append((result.exit_code, repr(result.exception), output))
    assert outcomes[1] == outcomes[0]


def make_async_app() -> Any:
    app = App("commands")
    app.teardown_appcontext(lambda _error: click.echo(f"left {g.get('steps')}"))

    async def step(number: int) -> None:
        await asyncio.sleep(0)
        g.steps = [*g.get("steps", []), number]

    @app.cli.command("runs")
    @click.option("--number", default=1)
    async def runs(number: int) -> None:
        await step(number)
        click.echo(f"ran in {current_app.name}")

    @app.cli.command("returns")
    def returns() -> Any:
        return step(1)

    @app.cli.command("own-loop")
    def own_loop() -> None:
        asyncio.run(step(1))

    @app.cli.command("forgets")
    def forgets() -> None:
        step(1)  # type: ignore[unused-coroutine]
        click.echo("done")

    @app.cli.command("forgets-later")
    async def forgets_later() -> None:
        kept: list[Any] = [step(1)]
        kept.append(kept)

    @app.cli.command("fails")
    def fails() -> None:
        step(1)  # type: ignore[unused-coroutine]
        raise click.ClickException("no")

    @app.cli.command("without", with_appcontext=False)
    async def without() -> None:
        click.echo(f"in an application: {bool(current_app)}")

    @click.command("added")
    async def added() -> None:
        click.echo("added")

    @app.cli.command("exits")
    @click.pass_context
    async def exits(context: click.Context) -> None:
        await step(1)
        context.exit(0)

    group = click.Group("group", commands=[added])
    app.cli.add_command(group)

    @app.cli.command("files")
    def files() -> None:
        g.database = sqlite3.connect(":memory:")
        g.database.execute("select 1")

    @app.teardown_appcontext
    def close(_error: BaseException | None) -> None:
        if "database" in g:
            g.database.close()  # in the thread that has opened it
            click.echo("closed")

    return app


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ("runs --number 2", "ran in commands\nleft [2]\n"),
        ("returns", "left [1]\n"),
        ("own-loop", "left [1]\n"),
        ("without", "in an application: False\n"),
        ("group added", "added\n"),
        ("exits", "left [1]\n"),
        ("files", "closed\nleft None\n"),
    ],
)
def test_commands_await(arguments: str, output: str) -> None:
    result = make_async_app().test_cli_runner().invoke(args=arguments.split())
    assert (result.exit_code, result.output) == (0, output)


@pytest.mark.parametrize("arguments", ["runs", "without", "files"])
async def test_commands_run_in_tests_that_are_async(arguments: str) -> None:
    result = make_async_app().test_cli_runner().invoke(args=[arguments])
    assert result.exit_code == 0, result.output


@pytest.mark.lenient("coroutines")
@pytest.mark.parametrize("arguments", ["forgets", "forgets-later"])
def test_what_is_not_awaited_is_an_error(arguments: str) -> None:
    result = make_async_app().test_cli_runner().invoke(args=[arguments])
    assert result.exit_code == 1
    line = next(line for line in result.output.splitlines() if line.startswith("Error: "))
    assert line.startswith("Error: step() in ")
    assert Path(__file__).name in line
    assert "was never awaited, so it did nothing: write 'await step(...)'" in line


@pytest.mark.lenient("coroutines")
def test_the_error_of_a_command_stays_its_error() -> None:
    result = make_async_app().test_cli_runner().invoke(args=["fails"])
    assert (result.exit_code, result.output) == (1, "left None\nError: no\n")


@pytest.mark.lenient("coroutines")
def test_the_command_quart_finds_them() -> None:
    app = make_async_app()
    runner = app.test_cli_runner()
    result = runner.invoke(quartapp.flasklike.cli.cli, ["runs"])
    assert (result.exit_code, result.output) == (0, "ran in commands\nleft [1]\n")
    result = runner.invoke(quartapp.flasklike.cli.cli, ["forgets"])
    assert result.exit_code == 1


def test_a_context_that_is_there_is_used() -> None:
    app, group = App("commands"), AppGroup("own")

    @group.command()
    async def show() -> None:
        click.echo(g.name)

    with app.app_context():
        g.name = "kept"
        result = app.test_cli_runner().invoke(group, ["show"])
    assert (result.exit_code, result.output) == (0, "kept\n")
    assert with_appcontext() is with_appcontext


def test_the_names_of_flasks_module_are_there_or_say_what_to_write() -> None:
    theirs = names_of(flask.cli)
    missing = {"CertParamType", "SeparatedPathType", "show_server_banner"}
    assert {name for name in theirs - missing if not hasattr(quartapp.flasklike.cli, name)} == set()
    with pytest.raises(ImportError, match="write 'from flask"):
        from quartapp.flasklike.cli import (  # type: ignore[attr-defined]  # the test
            CertParamType,  # noqa: F401
        )
