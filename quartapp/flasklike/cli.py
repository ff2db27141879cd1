"""Commands, as in Flask: with an application context, and also ``async def``.

Synchronous commands run in the main thread where no event loop runs, so that they may call
`asyncio.run`, and whatever else waits waits for them. What a command leaves un-awaited is an error:
a function that became ``async def`` would otherwise do nothing, with exit code 0.
"""

import gc
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar, overload

import click
from quart.cli import AppGroup as QuartAppGroup
from quart.cli import NoAppException as NoAppException
from quart.cli import QuartGroup as QuartGroup
from quart.cli import ScriptInfo as ScriptInfo
from quart.cli import cli as cli
from quart.cli import find_app_by_string as find_app_by_string
from quart.cli import find_best_app as find_best_app
from quart.cli import get_version as get_version
from quart.cli import load_dotenv as load_dotenv
from quart.cli import locate_app as locate_app
from quart.cli import main as main
from quart.cli import pass_script_info as pass_script_info
from quart.cli import prepare_import as prepare_import
from quart.cli import routes_command as routes_command
from quart.cli import run_command as run_command
from quart.cli import shell_command as shell_command

from quartapp.flasklike._upstream import cv_app, running_loop
from quartapp.flasklike.concurrency.awaiting import wait
from quartapp.flasklike.concurrency.blocks import enter_block, leave_block

F = TypeVar("F", bound=Callable[..., Any])

_WATCHED = "quartapp.flasklike.watched"
_TO_LEAVE = "quartapp.flasklike.to_leave"
_AWAITS = "_flasklike_awaits"


_UNAWAITED = re.compile(
    r"coroutine '(?P<name>.*?)' was never awaited"
    r"(?:.*?File \"(?P<file>.*?)\", line (?P<line>\d+))?",
    re.DOTALL,
)


class UnawaitedError(click.ClickException):
    """A command has ended, and a coroutine was never awaited; exit code 1."""


@overload
def with_appcontext(function: F) -> F: ...
@overload
def with_appcontext(function: None = None) -> Callable[[F], F]: ...
def with_appcontext(function: Any = None) -> Any:
    """Run the callback of a command within an application context, that of the loaded application.

    It may be ``async def``. The context is left when the command has ended, and its teardown
    functions run then. Within a context of an application it is used as it is.
    """
    if function is None:
        return with_appcontext

    @click.pass_context
    def callback(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        if cv_app.get(None) is None:
            _enter_app_context(context)
        return _call(context, function, args, kwargs)

    return _marked(callback, function)


def _enter_app_context(context: click.Context) -> None:
    app: Any = context.ensure_object(ScriptInfo).load_app()
    _watch(context)
    context.with_resource(_LeftOutsideOfLoops(context, app.app_context()))


def _call(context: click.Context, function: Any, args: Any, kwargs: Any) -> Any:
    _watch(context)
    result = context.invoke(function, *args, **kwargs)
    if not inspect.isawaitable(result):
        return result
    try:
        return wait(result)
    finally:
        for leave in context.meta.pop(_TO_LEAVE, ()):
            leave()


def _watch(context: click.Context) -> None:
    """For the rest of the invocation, make `wait` possible and notice what is not awaited."""
    if _WATCHED not in context.meta:
        context.meta[_WATCHED] = True
        root = context.find_root()
        root.with_resource(_LeftOutsideOfLoops(root, _watching()))


class _LeftOutsideOfLoops:
    """A resource of a command; `click.Context.exit` in an ``async def`` leaves it in the loop."""

    def __init__(self, context: click.Context, resource: AbstractContextManager[Any]) -> None:
        self._meta = context.meta
        self._resource = resource

    def __enter__(self) -> None:
        self._resource.__enter__()

    def __exit__(self, *raised: Any) -> bool | None:
        if running_loop() is None:
            return self._resource.__exit__(*raised)
        self._meta.setdefault(_TO_LEAVE, []).append(partial(self._resource.__exit__, *raised))
        return None


@contextmanager
def _watching() -> Iterator[None]:
    unawaited: list[str] = []
    ending: click.exceptions.Exit | None = None
    depth = sys.get_coroutine_origin_tracking_depth()
    with warnings.catch_warnings():
        warnings.filterwarnings("always", "coroutine .* was never awaited", RuntimeWarning)
        show = warnings.showwarning

        def note(message: Any, *rest: Any, **more: Any) -> None:
            found = _UNAWAITED.match(str(message))
            if found is None:
                show(message, *rest, **more)
            else:
                unawaited.append(_described(found))

        warnings.showwarning = note
        sys.set_coroutine_origin_tracking_depth(1)
        enter_block("await asyncio.to_thread(...)")
        try:
            yield
        except click.exceptions.Exit as error:  # how click ends an invocation
            ending = error
        finally:
            leave_block()
            sys.set_coroutine_origin_tracking_depth(depth)
            gc.collect(1)  # coroutines in cycles too
    if unawaited and (ending is None or not ending.exit_code):
        raise UnawaitedError("\n".join(unawaited))
    if ending is not None:
        raise ending


def _described(found: re.Match[str]) -> str:
    name = found["name"].rpartition("<locals>.")[2]
    place = "" if found["file"] is None else " in {file}, line {line},".format(**found.groupdict())
    return (
        f"{name}(){place} was never awaited, so it did nothing:"
        f" write 'await {name}(...)' in a command that is 'async def'"
    )


class AppGroup(QuartAppGroup):
    """A group whose commands have an application context, unless ``with_appcontext=False``."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command with this name; its callback, and those below it, may be ``async def``."""
        command: click.Command | None = super().get_command(context, name)
        return None if command is None else _made_to_await(command)

    def command(  # type: ignore[override]  # as Flask's
        self, *args: Any, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], click.Command]:
        """Like `click.Group.command`; the function may be ``async def``."""
        wrap = with_appcontext if kwargs.pop("with_appcontext", True) else _awaiting

        def decorator(function: Callable[..., Any]) -> click.Command:
            made: click.Command = click.Group.command(self, *args, **kwargs)(wrap(function))
            return made

        return decorator

    def group(  # type: ignore[override]  # as Flask's
        self, *args: Any, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], click.Group]:
        """Like `click.Group.group`; the new group is an `AppGroup` as well."""
        kwargs.setdefault("cls", AppGroup)
        decorator: Callable[[Callable[..., Any]], click.Group]
        decorator = click.Group.group(self, *args, **kwargs)
        return decorator


def _awaiting(function: F) -> F:
    @click.pass_context
    def callback(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        return _call(context, function, args, kwargs)

    return _marked(callback, function)  # type: ignore[no-any-return]


def _made_to_await(command: click.Command) -> click.Command:
    if command.callback is not None and not hasattr(command.callback, _AWAITS):
        command.callback = _awaiting(command.callback)
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _made_to_await(each)
    return command


def _marked(callback: Any, function: Any) -> Any:
    setattr(update_wrapper(callback, function), _AWAITS, True)
    return callback


class AppCommands(AppGroup):
    """The commands of an application, `App.cli`."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command with this name.

        For the command ``quart`` its invocation enters the application context first, as in Flask:
        the callbacks of parameters have it, and commands without `with_appcontext` too.
        """
        command = super().get_command(context, name)
        if command is not None:
            command = copy(command)
            make_context = command.make_context

            def enter_and_make(*args: Any, **kwargs: Any) -> click.Context:
                _watch(context)
                if isinstance(context.command, QuartGroup):
                    current = cv_app.get(None)
                    app = context.ensure_object(ScriptInfo).load_app()
                    if current is None or current.app is not app:
                        _enter_app_context(context)
                return make_context(*args, **kwargs)

            command.make_context = enter_and_make  # type: ignore[method-assign]  # of the copy
        return command


class FlaskGroup(AppGroup, QuartGroup):  # type: ignore[misc]  # Optional
    """The group of the command ``quart``, or of a script of the application's own."""


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in {"CertParamType", "SeparatedPathType", "show_server_banner"}:
            raise ImportError(
                f"{name} belongs to Flask's development server, which does not run here:"
                f" write 'from flask.cli import {name}', or leave it out"
            )
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
