"""What the tool leaves to a person, and why."""

from collections.abc import Iterator

import libcst as cst

from quartapp.flasklike.port.coroutines import Coroutines
from quartapp.flasklike.port.findings import Finding, located
from quartapp.flasklike.port.imports import home, is_flask
from quartapp.flasklike.port.inference import Parameter
from quartapp.flasklike.port.names import (
    BLOCKING,
    CALLS,
    EXTENSIONS,
    GONE,
    IN_PLAIN_FUNCTIONS,
    NOT_BLOCKING,
    WSGI,
    canonical,
)
from quartapp.flasklike.port.program import Function, Module, dotted_name

_CALLS_BACK = ("threading.", "multiprocessing.", "concurrent.", "atexit.", "signal.")
_TAKES_FUNCTIONS = frozenset(
    f"builtins.{name}" for name in ("filter", "map", "max", "min", "sorted")
)
_METHODS = frozenset(
    ("add_done_callback", "add_job", "apply_async", "enqueue", "map", "run_in_executor", "submit")
)
"""Of executors, pools, futures, schedulers and queues: of what class is seldom known."""

_SCOPED_SESSIONS = ("sqlalchemy.orm.scoped_session", "sqlalchemy.orm.scoping.scoped_session")

_CACHES = ("functools.cache", "functools.lru_cache", "functools.cached_property")


def advice(coroutines: Coroutines, *, convert: bool) -> Iterator[Finding]:
    """Places of a program that was rewritten, at which it may not work yet."""
    in_loop = _in_the_loop(coroutines)
    for module in coroutines.modules:
        found = [*_imports(module)]
        for node in module.own:
            found += _anywhere(coroutines, module, node)
            found += _of_threads(coroutines, module, node) if in_loop else ()
            if coroutines.needs(module, node) and not coroutines.is_handed_on(module, node):
                found.append((node, "nothing can be awaited while a module is imported"))
        for function in module.functions.values():
            for node in function.own:
                found += _anywhere(coroutines, module, node)
                found += _of_threads(coroutines, module, node) if in_loop else ()
                found += _unawaited(coroutines, function, node, convert=convert)
                if function in in_loop and not module.is_test:
                    found += _blocking(coroutines, module, node, function)
            found += _cached(coroutines, function)
        yield from sorted(located(module, found))


def blocking_imports(module: Module) -> Iterator[tuple[cst.CSTNode, str]]:
    """Imports of libraries that block, or work only in plain functions, with their names."""
    for node, name in module.imports:
        if (package := name.partition(".")[0]) in IN_PLAIN_FUNCTIONS:
            yield node, package
            continue
        if not name.startswith(NOT_BLOCKING):
            root = next((known for known in BLOCKING if _is_in(name, known)), None)
            if root is not None and not root.startswith(("time.", "os.")):
                yield node, root


def _is_in(name: str, known: str) -> bool:
    return name == known or name.startswith(f"{known}.")


def _imports(module: Module) -> Iterator[tuple[cst.CSTNode, str]]:
    for node, name in module.imports:
        root = name.partition(".")[0]
        if (instead := IN_PLAIN_FUNCTIONS.get(root)) is not None:
            yield node, f"{root} works in plain functions; in `async def` use {instead}"
        elif root.startswith("flask_"):
            known = EXTENSIONS.get(root, "see whether it has a version for Quart")
            yield node, f"{root} is an extension of Flask: {known}"
        elif is_flask(root) and isinstance(node, cst.ImportFrom):
            source, _, last = name.rpartition(".")
            if home(source, last) is None:
                instead = GONE.get(canonical(name))
                text = f"use {instead}" if instead else "flasklike does not have it"
                yield node, f"{name} does not exist: {text}"


def _anywhere(
    coroutines: Coroutines, module: Module, node: cst.CSTNode
) -> Iterator[tuple[cst.CSTNode, str]]:
    inference = coroutines.inference
    match node:
        case cst.Attribute(value=value, attr=attr):
            name = f"{inference.as_library(inference.kind(module, value))}.{attr.value}"
            if name in WSGI:
                yield node, f"{name}: {WSGI[name]}"
        case cst.SimpleString() if isinstance(module.parents[node], cst.Arg):
            text = node.evaluated_value
            if isinstance(text, str) and text.startswith("flask.") and " " not in text:
                yield node, f"{text!r} names flask: name quartapp.flasklike"
        case cst.Call(func=func):
            kind = inference.kind(module, func)
            if kind is None and isinstance(func, cst.Attribute) and func.attr.value in _METHODS:
                yield from _handed_on(coroutines, module, node, func.attr.value)
            elif isinstance(kind, str):
                if kind in _TAKES_FUNCTIONS or kind.startswith(_CALLS_BACK):
                    short = kind.removeprefix("builtins.")
                    yield from _handed_on(coroutines, module, node, short)
            elif kind is None and module.is_test:
                yield from _perhaps_client(node)


def _of_threads(
    coroutines: Coroutines, module: Module, node: cst.CSTNode
) -> Iterator[tuple[cst.CSTNode, str]]:
    """A session for each thread, which coroutines of all requests would share."""
    match node:
        case cst.Call(func=func, args=[_]) if not module.is_test:
            if coroutines.inference.kind(module, func) in _SCOPED_SESSIONS:
                text = "all coroutines share the event loop's thread, and so this session"
                yield node, f"scoped_session(): {text}: use async_scoped_session, with a scopefunc"


def _handed_on(
    coroutines: Coroutines, module: Module, call: cst.Call, name: str
) -> Iterator[tuple[cst.CSTNode, str]]:
    for argument in call.args:
        given = coroutines.inference.kind(module, argument.value)
        if isinstance(given, Function) and coroutines.gives_coroutine(given):
            yield argument, f"{name}() does not await {given.name}, a coroutine function"


def _perhaps_client(call: cst.Call) -> Iterator[tuple[cst.CSTNode, str]]:
    if isinstance(call.func, cst.Attribute) and f"client.{call.func.attr.value}" in CALLS:
        name = dotted_name(call.func.value).rpartition(".")[2]
        if name.endswith("client"):
            yield call, f"if {name} is a test client of App, this has to be awaited"


def _unawaited(
    coroutines: Coroutines, function: Function, node: cst.CSTNode, *, convert: bool
) -> Iterator[tuple[cst.CSTNode, str]]:
    module = function.module
    if isinstance(node, cst.Call) and function in coroutines.marked:
        yield from _async_generator(coroutines, module, node)
    if function in coroutines.marked or not coroutines.needs(module, node):
        return
    if coroutines.is_handed_on(module, node):
        return
    if isinstance(function.node, cst.Lambda):
        if node is not function.node.body and (convert or module.is_test):
            yield node, "a lambda cannot await: write an `async def`"
    elif function in coroutines.pinned and convert:
        yield node, f"this has to be awaited, but {coroutines.pinned[function]}"


def _async_generator(
    coroutines: Coroutines, module: Module, call: cst.Call
) -> Iterator[tuple[cst.CSTNode, str]]:
    if not coroutines.is_async_iterable(module, call):
        return
    parent = module.parents[call]
    if isinstance(parent, cst.Arg):
        outer = module.parents[parent]
        kind = coroutines.inference.kind(module, outer.func) if isinstance(outer, cst.Call) else ""
        if isinstance(kind, str) and kind.startswith("builtins."):
            short = kind.removeprefix("builtins.")
            yield call, f"an asynchronous generator: {short}() does not take it; use `async for`"


def _cached(coroutines: Coroutines, function: Function) -> Iterator[tuple[cst.CSTNode, str]]:
    for decorator in function.decorators if function in coroutines.marked else ():
        func = decorator.func if isinstance(decorator, cst.Call) else decorator
        kind = coroutines.inference.kind(function.module, func)
        if kind in _CACHES:
            yield decorator, f"{kind} would keep a coroutine, which can be awaited only once"


def _in_the_loop(coroutines: Coroutines) -> set[Function]:
    """Functions that run in the event loop: coroutine functions, and what they call."""
    found = {function for function in coroutines.marked if not function.module.is_test}
    waiting = list(found)
    while waiting:
        caller = waiting.pop()
        for node in caller.own:
            if isinstance(node, cst.Call):
                kind = coroutines.inference.kind(caller.module, node.func)
                if isinstance(kind, Function) and kind not in found:
                    found.add(kind)
                    waiting.append(kind)
    return found


def _blocking(
    coroutines: Coroutines, module: Module, node: cst.CSTNode, function: Function
) -> Iterator[tuple[cst.CSTNode, str]]:
    if not isinstance(node, cst.Call):
        return
    kind = coroutines.inference.kind(module, node.func)
    if isinstance(kind, Parameter) or not isinstance(kind, str):
        return
    if kind.startswith(NOT_BLOCKING):
        return
    known = next((name for name in BLOCKING if _is_in(kind, name)), None)
    if known is not None:
        where = f"blocks the event loop in {function.name}"
        yield node, f"{kind}() {where}: use {BLOCKING[known]}, or await run_sync(...)(...)"
    elif kind == "threading.local":
        yield node, "all requests share the event loop's thread: use g, or a ContextVar"
    elif kind == "builtins.open" and _in_loop_statement(module, node):
        yield node, f"open() in a loop blocks the event loop in {function.name}: use aiofiles"


def _in_loop_statement(module: Module, node: cst.CSTNode) -> bool:
    parent = module.parents.get(node)
    while parent is not None and not isinstance(parent, cst.FunctionDef):
        if isinstance(parent, cst.For | cst.While):
            return True
        parent = module.parents.get(parent)
    return False
