"""Commands, generated from seeds and run by Flask and by flasklike, which may have them async."""

import random
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import click
import flask
import flask.cli
from click.globals import pop_context
from click.testing import CliRunner

import quartapp.flasklike.cli
from quartapp import flasklike

FLASK = SimpleNamespace(web=flask, cli=flask.cli, is_async=False)
OURS = SimpleNamespace(web=flasklike, cli=quartapp.flasklike.cli, is_async=True)


@dataclass(frozen=True)
class Spec:
    """One application with one command, and how it is invoked."""

    blueprint: str | None
    """None for a command of the application, else what its blueprint's cli_group is."""
    groups: tuple[str, ...]
    """The groups that the command is in: "app" for the framework's class, "click" for click's."""
    leaf: str
    body: tuple[str, ...]
    is_async: bool
    callback: bool
    teardown: str
    script: bool
    """Whether a script of the application's own runs it, or the runner for tests."""
    arguments: tuple[str, ...]


def generate(seed: int) -> Spec:
    chance = random.Random(seed)
    return Spec(
        blueprint=chance.choice([None, None, "own", "flat", "named"]),
        groups=tuple(chance.choices(["app", "click"], k=chance.randrange(3))),
        leaf=chance.choice(["command", "command", "without", "click", "wrapped"]),
        body=tuple(chance.choices(["see", "keep", "kept", "inner", "return"], k=2))
        + tuple(chance.choices(["", "", "fail", "error", "exit", "abort"])),
        is_async=chance.random() < 0.5,
        callback=chance.random() < 0.5,
        teardown=chance.choice(["see", "see", "fail"]),
        script=chance.random() < 0.5,
        arguments=tuple(chance.choice([["a"], ["a"], ["a"], ["--help"], [], ["a", "--no"]])),
    )


def run(spec: Spec, side: Any) -> tuple[Any, ...]:
    """What can be seen of the invocation: exit code, exception and output."""
    app, path = build(spec, side)
    arguments = [*path, *spec.arguments]
    if spec.script:
        invoke = partial(CliRunner().invoke, side.cli.FlaskGroup(create_app=lambda: app), arguments)
    else:
        invoke = partial(app.test_cli_runner().invoke, args=arguments)
    result = copy_context().run(invoke) if side is FLASK else invoke()
    while click.get_current_context(silent=True):  # click keeps it if a teardown function fails
        pop_context()
    return result.exit_code, repr(result.exception), result.output


def build(spec: Spec, side: Any) -> tuple[Any, list[str]]:
    """The application, and the names that lead to its command."""
    web = side.web
    app = web.Flask("commands")

    def see(where: str) -> None:
        name = web.current_app.name if web.has_app_context() else None
        click.echo(f"{where}: {name} {web.g.get('kept') if name else None}")

    def teardown(error: BaseException | None) -> None:
        see(f"teardown {error!r}")
        if spec.teardown == "fail":
            raise LookupError("in teardown")

    def parameter(_context: Any, _parameter: Any, value: str) -> str:
        see("parameter")
        return value

    def body(name: str, context: click.Context) -> Any:
        for step in spec.body:
            if step == "return":
                return 7
            take(step, name, context, web, see)
        return None

    def plain(name: str) -> Any:
        return body(name, click.get_current_context())

    async def awaited(name: str) -> Any:
        return body(name, click.get_current_context())

    app.teardown_appcontext(teardown)
    function: Any = awaited if spec.is_async and side.is_async else plain
    argument = click.argument("name", callback=parameter if spec.callback else None)
    group, path = holder_of(spec, side, app, see)
    if spec.leaf == "command":
        group.command("leaf")(argument(function))
    elif spec.leaf == "without" and isinstance(group, side.cli.AppGroup):
        group.command("leaf", with_appcontext=False)(argument(function))
    else:
        wrapped = side.cli.with_appcontext(function) if spec.leaf == "wrapped" else function
        group.add_command(click.command("leaf")(argument(wrapped)))
    if spec.blueprint is not None:
        app.register_blueprint(app.own_blueprint)
    return app, [*path, "leaf"]


def take(step: str, name: str, context: click.Context, web: Any, see: Any) -> None:
    match step:
        case "see" | "kept":
            see(f"{step} {name}")
        case "keep":
            if web.has_app_context():
                web.g.kept = name
        case "inner":
            click.echo(context.command_path)
        case "fail":
            raise click.UsageError("no", context)
        case "error":
            raise ValueError(name)
        case "exit":
            context.exit(3)
        case "abort":
            raise click.Abort


def holder_of(spec: Spec, side: Any, app: Any, see: Any) -> tuple[Any, list[str]]:
    """The group that holds the command, and the names that lead to it."""
    group, path = app.cli, []
    if spec.blueprint is not None:
        options: dict[str, Any] = {
            "own": {},
            "flat": {"cli_group": None},
            "named": {"cli_group": "named"},
        }
        app.own_blueprint = side.web.Blueprint("pages", "pages", **options[spec.blueprint])
        group = app.own_blueprint.cli
        path += {"own": ["pages"], "flat": [], "named": ["named"]}[spec.blueprint]
    for number, kind in enumerate(spec.groups):
        name = f"group{number}"
        if kind == "app" and isinstance(group, side.cli.AppGroup):
            group = group.group(name)(partial(see, name))
        else:
            group.add_command(inner := click.Group(name, callback=partial(see, name)))
            group = inner
        path.append(name)
    return group, path
