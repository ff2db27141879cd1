"""Faults of commands that the comparison with Flask must find: each replaces names of `cli`."""

from collections.abc import Callable
from typing import Any

import click

from quartapp.flasklike import cli

MUTANTS: dict[str, dict[tuple[Any, str], Callable[..., Any]]] = {}


def _without_context(self: Any, *args: Any, **kwargs: Any) -> Any:
    kwargs.setdefault("with_appcontext", False)
    return _command(self, *args, **kwargs)


def _clicks_group(self: Any, *args: Any, **kwargs: Any) -> Any:
    kwargs.setdefault("cls", click.Group)
    return click.Group.group(self, *args, **kwargs)


def _always_enters(function: Any) -> Any:
    @click.pass_context
    def callback(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        _enter(context)
        return _call(context, function, args, kwargs)

    return callback


def _enters_for_no_script(self: Any, context: click.Context, name: str) -> Any:
    return cli.AppGroup.get_command(self, context, name)


def _never_awaits(context: click.Context, function: Any, args: Any, kwargs: Any) -> Any:
    return context.invoke(function, *args, **kwargs)


_command, _call, _enter = cli.AppGroup.command, cli._call, cli._enter_app_context
MUTANTS["commands have an application context"] = {(cli.AppGroup, "command"): _without_context}
MUTANTS["with_appcontext enters it"] = {(cli, "_enter_app_context"): lambda context: None}
MUTANTS["a context that is there is used"] = {(cli, "with_appcontext"): _always_enters}
MUTANTS["what a command returns is awaited"] = {
    (cli, "_call"): lambda context, function, args, kwargs: context.invoke(
        function, *args, **kwargs
    )
}
MUTANTS["groups within groups are like them"] = {(cli.AppGroup, "group"): _clicks_group}
MUTANTS["a script has the context also without with_appcontext"] = {
    (cli.AppCommands, "get_command"): _enters_for_no_script
}
MUTANTS["commands of click's groups are awaited"] = {
    (cli, "_made_to_await"): lambda command: command
}
