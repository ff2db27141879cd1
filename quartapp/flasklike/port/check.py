"""The linter: awaitables that nothing awaits.

It says nothing about what may be meant: a coroutine that is passed on, returned by a plain
function, or stored where something may await it.
"""

from collections.abc import Iterator

import libcst as cst

from quartapp.flasklike.port.coroutines import Coroutines
from quartapp.flasklike.port.files import OF_G
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
) | {
    "flask.abort",
    "flask.flash",
    "flask.jsonify",
    "flask.redirect",
    "flask.Response",
    "flask.url_for",
}
"""Functions that need a value, and do not await their arguments."""

_ANSWERS = ("flask.Response", "flask.jsonify", "flask.make_response")
"""Functions whose dictionaries are headers or JSON."""

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
    if _is_own(coroutines, module, node) and _is_misused(
        coroutines, function, node, returned=False
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
            return bool(star) or read or _is_header(module, parent)
        case cst.DictElement(value=value) if value is node:
            return _are_headers(coroutines, function, module.parents[parent])
        case cst.Return():
            return returned and not _result_is_awaited(coroutines, function)
        case cst.Element():
            return returned and _is_in_returned_tuple(module, parent)
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Subscript(value=into))]):
            return _name(into) == "headers" or _is_session(coroutines, module, into)
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Attribute(value=of, attr=attr))]):
            return _is_g(coroutines, module, of) and not _is_read(coroutines, attr.value)
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))]):
            return _variable_is_misused(coroutines, function, name, returned=returned)
    return False


def _is_in_returned_tuple(module: Module, element: cst.Element) -> bool:
    around = module.parents[element]
    return isinstance(around, cst.Tuple) and isinstance(module.parents[around], cst.Return)


def _result_is_awaited(coroutines: Coroutines, function: Function) -> bool:
    """Whether a caller awaits what it gets from awaiting *function*: ``await (await f())``."""
    return any(
        isinstance(node, cst.Await)
        and isinstance(node.expression, cst.Call)
        and coroutines.inference.kind(module, node.expression.func) is function
        and _is_awaited(coroutines, module, node)
        for module in coroutines.modules
        for node in module.scopes
    )


def _is_awaited(coroutines: Coroutines, module: Module, node: cst.CSTNode) -> bool:
    """Whether it is awaited in its place, or as the variable that it is assigned to."""
    match module.parents[node]:
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))]):
            return any(
                isinstance(use, cst.Name)
                and use.value == name
                and module.function_of(use) is module.function_of(node)
                and coroutines.is_handed_on(module, use)
                for use in module.scopes
            )
    return coroutines.is_handed_on(module, node)


def _name(node: cst.CSTNode) -> str:
    """The last part of a name: ``headers`` of ``response.headers``."""
    return node.attr.value if isinstance(node, cst.Attribute) else dotted_name(node)


def _is_header(module: Module, argument: cst.Arg) -> bool:
    """Whether it is a value in ``headers.add("X", value)`` or ``set_cookie("x", value)``."""
    call = module.parents[argument]
    match call:
        case cst.Call(func=cst.Attribute(value=of, attr=cst.Name(value=method))):
            if _name(of) == "headers":
                return method in ("add", "set", "setdefault")
            return method == "set_cookie"
    return False


def _are_headers(coroutines: Coroutines, function: Function, node: cst.CSTNode) -> bool:
    """Whether a dictionary has the headers of a response, or is one: nothing awaits its values."""
    module = function.module
    parent = module.parents[node]
    match parent:
        case cst.Arg(keyword=cst.Name(value="headers")):
            return True
        case cst.Arg():
            match module.parents[parent]:
                case cst.Call(func=cst.Attribute(value=of, attr=cst.Name(value="update"))):
                    return _name(of) == "headers"
                case cst.Call(func=func):
                    kind = coroutines.inference.kind(module, func)
                    return kind in _ANSWERS
        case cst.Assign(targets=[cst.AssignTarget(target=target)]):
            return _name(target) == "headers"
        case cst.Return():
            return coroutines.answers(function)
        case cst.Element():
            return _is_in_returned_tuple(module, parent) and coroutines.answers(function)
    return False


def _is_session(coroutines: Coroutines, module: Module, node: cst.CSTNode) -> bool:
    return coroutines.inference.kind(module, node) == "flask.session"


def _is_g(coroutines: Coroutines, module: Module, node: cst.CSTNode) -> bool:
    return coroutines.inference.kind(module, node) == "flask.g"


def _is_read(coroutines: Coroutines, name: str) -> bool:
    """Whether something may await ``g.NAME``: code that does not misuse it, or a template."""
    if name in coroutines.read_by_templates:
        return True
    return any(
        _is_read_at(coroutines, module, node, name)
        for module in coroutines.modules
        for node in module.scopes
    )


def _is_read_at(coroutines: Coroutines, module: Module, node: cst.CSTNode, name: str) -> bool:
    match node:
        case cst.SimpleString(value=text):  # perhaps of render_template_string
            return "{" in text and name in OF_G.findall(text)
        case cst.Attribute(value=of, attr=cst.Name(value=attr)) if attr == name:
            if not _is_g(coroutines, module, of):
                return False
            if isinstance(module.parents[node], cst.AssignTarget):
                return False
            function = module.function_of(node)
            return function is None or not _is_misused(coroutines, function, node, returned=False)
        case (
            cst.Call(
                func=cst.Attribute(value=of, attr=cst.Name(value="get" | "pop")),
                args=[cst.Arg(value=cst.SimpleString() as key), *_],
            )
            | cst.Call(
                func=cst.Name(value="getattr"),
                args=[cst.Arg(value=of), cst.Arg(value=cst.SimpleString() as key), *_],
            )
        ):
            return key.evaluated_value == name and _is_g(coroutines, module, of)
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
