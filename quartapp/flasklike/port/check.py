"""The linter: awaitables that nothing awaits.

It says nothing about what may be meant: a coroutine that is passed on, stored or returned by a
plain function.
"""

from collections.abc import Iterator

import libcst as cst

from quartapp.flasklike.port.coroutines import Coroutines
from quartapp.flasklike.port.findings import Finding, located
from quartapp.flasklike.port.program import Function, Module, dotted_name

_READS = frozenset(
    f"builtins.{name}"
    for name in [
        "bool",
        "bytes",
        "dict",
        "enumerate",
        "float",
        "int",
        "iter",
        "len",
        "list",
        "next",
        "print",
        "repr",
        "reversed",
        "set",
        "sorted",
        "str",
        "sum",
        "tuple",
        "zip",
    ]
) | {"flask.jsonify", "flask.redirect", "flask.Response"}
"""Functions that need a value, and do not await their arguments."""

_OF_COROUTINES = frozenset(
    ["__await__", "close", "cr_await", "cr_code", "cr_frame", "cr_running", "send", "throw"]
)
"""What a coroutine itself has."""


def check(coroutines: Coroutines) -> Iterator[Finding]:
    """The forgotten awaits of a program, file by file."""
    called = _called_by_coroutines(coroutines)
    for module in coroutines.modules:
        found: list[tuple[cst.CSTNode, str]] = []
        for node in module.own:
            found += _forgotten_statement(coroutines, module, node)
        for function in module.functions.values():
            if isinstance(function.node, cst.Lambda):
                continue
            for node in function.own:
                if function.is_async:
                    found += _forgotten(coroutines, function, node)
                elif function in called and coroutines.is_awaitable(module, node):
                    found += _needs_loop(coroutines, function, node, called[function])
                else:
                    found += _in_plain_function(coroutines, function, node)
        yield from sorted(located(module, found))


def _called_by_coroutines(coroutines: Coroutines) -> dict[Function, str]:
    """Plain functions that run in the event loop, each with the name of a caller."""
    called: dict[Function, str] = {}
    waiting = [f for m in coroutines.modules for f in m.functions.values() if f.is_async]
    while waiting:
        caller = waiting.pop()
        for node in caller.own:
            if isinstance(node, cst.Call):
                kind = coroutines.inference.kind(caller.module, node.func)
                if (
                    isinstance(kind, Function)
                    and isinstance(kind.node, cst.FunctionDef)
                    and not (kind.is_async or kind.decorators or kind in called)
                ):
                    called[kind] = caller.name
                    waiting.append(kind)
    return called


def _forgotten(
    coroutines: Coroutines, function: Function, node: cst.CSTNode
) -> Iterator[tuple[cst.CSTNode, str]]:
    module = function.module
    match node:
        case cst.With(asynchronous=None, items=items):
            for item in items:
                if coroutines.is_async_context(module, item.item):
                    yield item, f"{_text(item.item)} is entered with `async with`"
        case (
            cst.For(asynchronous=None, iter=iterated)
            | cst.CompFor(asynchronous=None, iter=iterated)
        ):
            if coroutines.is_async_iterable(module, iterated):
                yield iterated, f"{_text(iterated)} is iterated with `async for`"
        case cst.Attribute() | cst.Call():
            if (
                coroutines.is_awaitable(module, node)
                and not coroutines.is_handed_on(module, node)
                and _is_misused(coroutines, function, node, returned=True)
            ):
                yield node, f"{_text(node)} is not awaited"


def _needs_loop(
    coroutines: Coroutines, function: Function, node: cst.CSTNode, caller: str
) -> Iterator[tuple[cst.CSTNode, str]]:
    if _is_misused(coroutines, function, node, returned=False):
        text = f"{_text(node)} is not awaited: {function.name} is no coroutine function, and"
        yield node, f"{text} {caller} calls it in the event loop"


def _forgotten_statement(
    coroutines: Coroutines, module: Module, node: cst.CSTNode
) -> Iterator[tuple[cst.CSTNode, str]]:
    """A call that is a statement, while a module is imported."""
    if isinstance(module.parents.get(node), cst.Expr) and _is_own(coroutines, module, node):
        yield node, f"{_text(node)} is not awaited"


def _in_plain_function(
    coroutines: Coroutines, function: Function, node: cst.CSTNode
) -> Iterator[tuple[cst.CSTNode, str]]:
    """A coroutine of the application: flasklike's functions work in a thread as they are."""
    module = function.module
    if (
        _is_own(coroutines, module, node)
        and not coroutines.is_handed_on(module, node)
        and _is_misused(coroutines, function, node, returned=False)
    ):
        text = f"{_text(node)} is not awaited: make {function.name} `async def`"
        if not module.is_test:
            assert isinstance(node, cst.Call)
            called = _text(node.func)
            arguments = "..." if node.args else ""
            text += f", or call current_app.ensure_sync({called})({arguments})"
        yield node, text


def _is_own(coroutines: Coroutines, module: Module, node: cst.CSTNode) -> bool:
    """Whether it is a call of a coroutine function of the application."""
    if not isinstance(node, cst.Call):
        return False
    called = coroutines.inference.kind(module, node.func)
    return isinstance(called, Function) and coroutines.gives_coroutine(called)


def _is_misused(
    coroutines: Coroutines, function: Function, node: cst.CSTNode, *, returned: bool
) -> bool:
    """Whether the value itself is used where only an awaitable is."""
    module = function.module
    parent = module.parents[node]
    match parent:
        case cst.Expr() | cst.FormattedStringExpression() | cst.ComparisonTarget():
            return True
        case cst.Comparison() | cst.BinaryOperation() | cst.UnaryOperation() | cst.Assert():
            return True
        case cst.If() | cst.While() | cst.CompIf():
            return True
        case cst.For(asynchronous=None) | cst.CompFor(asynchronous=None):
            return True
        case cst.WithItem():
            around_item = module.parents[parent]
            return isinstance(around_item, cst.With) and around_item.asynchronous is None
        case cst.Attribute(value=value, attr=attr) if value is node:
            return attr.value not in _OF_COROUTINES
        case cst.Subscript(value=value):
            return value is node
        case cst.Index() | cst.StarredElement() | cst.StarredDictElement():
            return True
        case cst.Call(func=func):
            return func is node
        case cst.IfExp(test=test) if test is node:
            return True
        case cst.BooleanOperation() | cst.NamedExpr() | cst.IfExp():
            return _is_misused(coroutines, function, parent, returned=returned)
        case cst.Arg(star=star):
            call = module.parents[parent]
            assert isinstance(call, cst.Call | cst.ClassDef)
            read = isinstance(call, cst.Call) and (
                coroutines.inference.kind(module, call.func) in _READS
            )
            return bool(star) or read
        case cst.Return():
            return returned
        case cst.Element():
            around = module.parents[parent]
            in_tuple = isinstance(around, cst.Tuple)
            return returned and in_tuple and isinstance(module.parents[around], cst.Return)
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))]):
            return _variable_is_misused(coroutines, function, name, returned=returned)
    return False


def _variable_is_misused(
    coroutines: Coroutines, function: Function, name: str, *, returned: bool
) -> bool:
    """Whether no use of a local variable can await it, and it is used, or never."""
    if len(function.bindings.get(name, ())) != 1:
        return False
    module = function.module
    uses = [
        node
        for node, scope in module.scopes.items()
        if isinstance(node, cst.Name)
        and node.value == name
        and not isinstance(module.parents[node], cst.AssignTarget | cst.Attribute | cst.Arg)
    ]
    uses += [
        node
        for node in module.scopes
        if isinstance(node, cst.Name)
        and node.value == name
        and isinstance(parent := module.parents[node], cst.Attribute | cst.Arg)
        and parent.value is node
    ]
    return all(
        module.function_of(use) is function
        and _is_misused(coroutines, function, use, returned=returned)
        for use in uses
    )


def _text(node: cst.CSTNode) -> str:
    func = node.func if isinstance(node, cst.Call) else node
    name = dotted_name(func) or (func.attr.value if isinstance(func, cst.Attribute) else "this")
    return f"{name}()" if isinstance(node, cst.Call) else name
