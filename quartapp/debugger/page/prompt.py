"""A Python prompt in a frame, with `await` at its top level."""

import ast
import asyncio
import codeop
import inspect
import itertools
import linecache
import pydoc
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from types import CodeType
from typing import Any

from quart import (
    Quart,
    current_app,
    g,
    has_app_context,
    has_request_context,
    has_websocket_context,
    request,
    session,
    websocket,
)

from quartapp.debugger.page.frames import Frame
from quartapp.debugger.page.output import captured
from quartapp.debugger.page.text import bounded, clean
from quartapp.debugger.page.values import show

TIME_LIMIT = 30.0
"""Seconds that one `await` of a command may take. Code that never awaits cannot be interrupted."""

MAX_TEXT = 100_000

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Reply:
    """The result of a command: what it printed, the repr of its value, its traceback.

    `more` says that nothing was run, because the command needs more lines.
    """

    output: str = ""
    value: str | None = None
    error: str | None = None
    more: bool = False


class Prompt:
    """The prompt of one frame. Names that one command binds are there for the next.

    The namespace is a copy of the frame's globals and variables in one dictionary: assignments do
    not change the module, and functions, lambdas and comprehensions that are typed here see the
    frame's variables.
    """

    def __init__(self, frame: Frame, extra: Mapping[str, Any]) -> None:
        self.variables: dict[str, Any] = dict(frame.frame.f_locals)
        self._names: dict[str, Any] = {
            **_tools(self.variables),
            **extra,
            **frame.frame.f_globals,
            **self.variables,
        }
        self._label = f"<prompt {next(_numbers)}"
        self._commands = 0

    @property
    def namespace(self) -> Mapping[str, Any]:
        return self._names

    def release(self) -> None:
        """Release everything that the frame and the commands put into the namespace."""
        self._names.clear()
        self.variables.clear()
        for filename in [name for name in linecache.cache if name.startswith(f"{self._label},")]:
            del linecache.cache[filename]

    async def run(self, source: str, *, now: bool = False) -> Reply:
        """Run a command of one or more lines. If it ends with an expression, its value is shown
        and bound to `_`.

        An incomplete block is not run, unless `now`. Whatever the command raises becomes the
        reply, SystemExit included. Only the cancellation of the calling task is raised.
        """
        source = source.replace("\r\n", "\n")
        try:
            if not now and _wants_more(source):
                return Reply(more=True)
            steps = self._compile(source)
        except Exception as error:  # noqa: BLE001 SyntaxError, ValueError, MemoryError, Recursion...
            return Reply(error=clean("".join(traceback.format_exception_only(error))))
        with captured() as output:
            value, failure = None, None
            try:
                value = await self._execute(steps)
            except BaseException as error:
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                    raise
                failure = _traceback(error)
        return Reply(bounded(clean(output.getvalue()), MAX_TEXT), value, failure)

    def _compile(self, source: str) -> list[CodeType]:
        self._commands += 1
        filename = f"{self._label}, command {self._commands}>"
        # Tracebacks take the source of what was typed from here.
        lines = [line + "\n" for line in source.split("\n")]
        linecache.cache[filename] = (len(source), None, lines, filename)
        body = ast.parse(source, filename).body
        # The statements, then the last expression on its own, as only `eval` returns a value.
        nodes: list[ast.Module | ast.Expression] = []
        if body and isinstance(body[-1], ast.Expr):
            nodes.append(ast.Expression(body.pop().value))  # type: ignore[attr-defined] # an Expr
        nodes.insert(0, ast.Module(body, type_ignores=[]))
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return [
            compile(
                node,
                filename,
                "eval" if isinstance(node, ast.Expression) else "exec",
                flags,
                dont_inherit=True,
            )
            for node in nodes
        ]

    async def _execute(self, steps: list[CodeType]) -> str | None:
        value: Any = None
        for code in steps:
            value = eval(code, self._names)
            if code.co_flags & inspect.CO_COROUTINE:
                value = await _within_limit(value)
        if value is None:
            return None
        self._names["_"] = value
        return show(value)


async def run_in_context(
    context: Context, app: Quart | None, command: Callable[[], Awaitable[Reply]]
) -> Reply:
    """Run a command in the context of the failed request, then tear down as after a request.

    As in Flask the teardown functions of the application context run after each command:
    connections are returned to their pools, and what was not committed is rolled back.
    """

    async def run() -> Reply:
        if app is not None and not has_app_context():
            async with app.app_context():
                return await command()
        try:
            return await command()
        finally:
            if has_app_context():
                await current_app.do_teardown_appcontext(None)

    return await asyncio.create_task(run(), context=context)


def default_names() -> dict[str, Any]:
    """Quart's names of the current context, such as `request`; a frame's own names hide them."""
    names: dict[str, Any] = {}
    if has_app_context():
        names |= {"current_app": current_app, "g": g}
    if has_request_context():
        names |= {"request": request, "session": session}
    if has_websocket_context():
        names |= {"websocket": websocket, "session": session}
    return names


def _wants_more(source: str) -> bool:
    # As at Python's own prompt, a block ends with an empty line.
    last = source.rsplit("\n", 1)[-1]
    if "\n" in source and last[:1].isspace() and last.strip():
        return True
    compiler = codeop.Compile()
    compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    command = codeop.CommandCompiler()
    command.compiler = compiler
    return command(source, "<prompt>", "exec") is None


async def _within_limit(coroutine: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(TIME_LIMIT) as limit:
            return await coroutine
    except TimeoutError:
        if limit.expired():
            raise TimeoutError(f"stopped after {TIME_LIMIT:g} seconds") from None
        raise


def _traceback(error: BaseException) -> str:
    """The traceback from the first frame of typed code on, without the debugger's own frames."""
    step = error.__traceback__
    while step is not None and not step.tb_frame.f_code.co_filename.startswith("<prompt "):
        step = step.tb_next
    lines = traceback.format_exception(type(error), error, step)
    return bounded(clean("".join(lines)), MAX_TEXT)


def _tools(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt's own functions, and replacements for those that would wait for a terminal."""

    def dump(*objects: Any) -> None:
        """Print the variables of the frame, or the attributes of an object."""
        pairs = _attributes(objects[0]) if objects else dict(variables)
        for name, value in pairs.items():
            print(f"{name} = {show(value, 2000)}")  # noqa: T201 captured for the page

    def help(thing: Any) -> None:
        text = pydoc.render_doc(thing, renderer=pydoc.plaintext)  # type: ignore[attr-defined] # untyped
        print(text)  # noqa: T201 captured for the page

    def no_terminal(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("there is no terminal behind this prompt")

    return {"dump": dump, "help": help, "input": no_terminal, "breakpoint": no_terminal}


def _attributes(thing: object) -> dict[str, Any]:
    return {name: getattr(thing, name, "(unreadable)") for name in dir(thing) if name[:2] != "__"}
