"""Which functions become coroutine functions, and which expressions they await."""

from collections.abc import Collection, Iterator

import libcst as cst

from quartapp.flasklike.port.inference import Inference, Managed, Parameter
from quartapp.flasklike.port.names import (
    ANSWER,
    ASYNC_CONTEXTS,
    ASYNC_ITERABLES,
    ATTRIBUTES,
    CALLED_BY_APP,
    CALLED_SYNCHRONOUSLY,
    CALLS,
    OVERRIDES,
    TAKES_COROUTINES,
    TRANSPARENT,
)
from quartapp.flasklike.port.program import FUNCTIONS, Class, Function, Module, children

VIEW_METHODS = frozenset(
    ["dispatch_request", "get", "post", "put", "delete", "patch", "head", "options", "trace"]
)


class Coroutines:
    """The coroutine functions of a program: those it has, and those it needs.

    With *convert*, every function that App calls becomes one, so that all code of a request runs in
    the event loop's thread; without, only tests and fixtures do. With *declared*, none does: the
    program is judged as it is written. *read_by_templates* are the attributes of g that templates
    read: a template awaits what it meets.
    """

    def __init__(
        self,
        inference: Inference,
        *,
        convert: bool,
        declared: bool = False,
        read_by_templates: Collection[str] = (),
    ) -> None:
        self.inference = inference
        self.read_by_templates = read_by_templates
        self.modules = inference.program.modules
        self._known: dict[Function, bool] = {}
        self._declared = declared
        self._convert = convert
        self._functions = [f for module in self.modules for f in module.functions.values()]
        self.marked = {function for function in self._functions if function.is_async}
        if declared:
            return
        self.pinned = dict(self._pinned())
        self._groups = list(self._families()) + list(self._replacements())
        registered = self._registered(CALLED_BY_APP)
        self.marked |= {f for f in self._functions if self._must(f, registered) and self._may(f)}
        while self._grow():
            self._known.clear()

    def _grow(self) -> bool:
        before = len(self.marked)
        for function in self._functions:
            if (
                function not in self.marked
                and self._may(function)
                and any(self.needs(function.module, node) for node in function.own)
            ):
                self.marked.add(function)
        arguments = (
            [kind for kind in self._values(key) if isinstance(kind, Function)]
            for key in self.inference.arguments
        )
        for group in (*self._groups, *arguments):
            if not self.marked.isdisjoint(group):
                self.marked |= {function for function in group if self._may(function)}
        return len(self.marked) > before

    def _may(self, function: Function) -> bool:
        return (
            isinstance(function.node, cst.FunctionDef)
            and function not in self.pinned
            and (self._convert or function.module.is_test)
        )

    def _must(self, function: Function, registered: set[Function]) -> bool:
        owner = function.owner
        base = self.inference.library_base(owner) if owner is not None else ""
        if (base, function.name) in OVERRIDES:
            return True
        return (
            function in registered
            or (base == "view" and function.name in VIEW_METHODS)
            or self.is_registered(function, CALLED_BY_APP)
        )

    def is_registered(self, function: Function, names: frozenset[str]) -> bool:
        """Whether a decorator of App with one of these names is on it."""
        for decorator in function.decorators:
            func = decorator.func if isinstance(decorator, cst.Call) else decorator
            if isinstance(func, cst.Attribute) and func.attr.value in names:
                kind = self.inference.kind(function.module, func.value)
                library = self.inference.as_library(kind)
                if library in ("app", "blueprint") or not isinstance(kind, str):
                    return True
            elif isinstance(func, cst.Name) and func.value in names:
                kind = self.inference.kind(function.module, func)
                if kind == f"flask.{func.value}":
                    return True
        return False

    def answers(self, function: Function) -> bool:
        """Whether App makes a response of what it returns."""
        owner = function.owner
        return (
            (
                owner is not None
                and function.name in VIEW_METHODS
                and self.inference.library_base(owner) == "view"
            )
            or self.is_registered(function, ANSWER)
            or (function in self._registered(ANSWER))
        )

    def _registered(self, names: frozenset[str]) -> set[Function]:
        """Functions that are handed to App: ``app.teardown_appcontext(close_db)``."""
        return {
            kind
            for module in self.modules
            for call in module.scopes
            if isinstance(call, cst.Call)
            and isinstance(call.func, cst.Attribute)
            and call.func.attr.value in names
            for argument in call.args
            if isinstance(kind := self.inference.kind(module, argument.value), Function)
        }

    def _pinned(self) -> Iterator[tuple[Function, str]]:
        """Functions that cannot be coroutine functions, with the reasons."""
        for function in self._functions:
            name = function.name
            if name.startswith("__") and name.endswith("__"):
                yield function, f"{name} cannot be a coroutine function"
            elif self.inference.is_property(function):
                yield function, f"the property {name} cannot be a coroutine function"
            elif self.is_registered(function, CALLED_SYNCHRONOUSLY):
                yield function, f"{name} is called without await"
            elif not function.module.is_test and self._makes_app(function):
                yield function, f"{name} makes the application, before an event loop runs"
        for module in self.modules:
            for node in module.own:
                kind = (
                    self.inference.kind(module, node.func) if isinstance(node, cst.Call) else None
                )
                if isinstance(kind, Function):
                    yield kind, f"{kind.name} is called while its module is imported"

    def _makes_app(self, function: Function) -> bool:
        kinds = (self.inference.kind(function.module, value) for value in function.returned)
        return any(self.inference.as_library(kind) == "app" for kind in kinds)

    def _families(self) -> Iterator[list[Function]]:
        """Methods that override one another."""
        for module in self.modules:
            for of in module.classes:
                for base in of.bases:
                    above = self.inference.kind(module, base)
                    if not isinstance(above, Class):
                        continue
                    for name, bindings in of.bindings.items():
                        other = self.inference.attribute(above, name)
                        own = [b.what for b in bindings if isinstance(b.what, Function)]
                        if own and isinstance(other, Function):
                            yield [*own, other]

    def _replacements(self) -> Iterator[list[Function]]:
        """What ``monkeypatch.setattr("module.name", fake)`` puts in a function's place."""
        for module in self.modules:
            for call in module.scopes:
                if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute):
                    continue
                if call.func.attr.value != "setattr" or len(call.args) < 2:
                    continue
                target, *rest = [argument.value for argument in call.args]
                fake = self.inference.kind(module, rest[-1])
                text = rest[0] if len(rest) > 1 else target
                if not isinstance(text, cst.SimpleString) or not isinstance(fake, Function):
                    continue
                name = str(text.evaluated_value)
                if len(rest) > 1:
                    real = self.inference.attribute(self.inference.kind(module, target), name)
                else:
                    found, last = self.inference.program.find(name, module)
                    real = self.inference.lookup(last, found) if found is not None else None
                if isinstance(real, Function):
                    yield [real, fake]

    def _values(self, key: tuple[Function, str]) -> list[object]:
        values = self.inference.arguments.get(key, ())
        return [self.inference.kind(module, value) for module, value in values]

    def needs(self, module: Module, node: cst.CSTNode) -> bool:
        """Whether *node* works only in a coroutine function."""
        match node:
            case cst.Attribute() | cst.Call():
                return self.is_awaitable(module, node)
            case cst.With(items=items, body=body):
                entered = [i.item for i in items if self.is_async_context(module, i.item)]
                return any(not self._is_app_context(module, item) for item in entered) or (
                    bool(entered) and _yields(body)
                )
            case cst.For(iter=iterated) | cst.CompFor(iter=iterated) | cst.From(item=iterated):
                return self.is_async_iterable(module, iterated)
        return False

    def is_awaitable(self, module: Module, node: cst.CSTNode) -> bool:
        """Whether evaluating *node* gives something that has to be awaited."""
        match node:
            case cst.Attribute(value=value, attr=attr):
                parent = module.parents.get(node)
                if isinstance(parent, cst.Del) or getattr(parent, "target", None) is node:
                    return False
                kind = self.inference.as_library(self.inference.kind(module, value))
                member = ATTRIBUTES.get(f"{kind}.{attr.value}")
                return member is not None and member.awaited and not self._is_optional(kind)
            case cst.Call(func=func):
                called = self.inference.kind(module, func)
                if isinstance(called, str):
                    kind = called.partition(".")[0]
                    return called in CALLS and CALLS[called].awaited and not self._is_optional(kind)
                return self.gives_coroutine(called)
        return False

    def _is_optional(self, kind: str) -> bool:
        """Whether awaiting is right, but not needed: None and bool of an answer need it."""
        return self._declared and kind == "answer"

    def gives_coroutine(self, called: object) -> bool:
        """Whether calling it gives a coroutine."""
        if called == "view_function":
            return True
        if isinstance(called, Parameter):
            key = called.function, called.name
            if called.function in self.inference.wrap_views and called.name == _first(called):
                return True
            return any(
                kind in self.marked or self.gives_coroutine(kind) for kind in self._values(key)
            )
        if not isinstance(called, Function):
            return False
        if called not in self._known:
            self._known[called] = False  # what depends on itself is no reason
            self._known[called] = self._function_gives_coroutine(called)
        return self._known[called]

    def _function_gives_coroutine(self, called: Function) -> bool:
        if isinstance(called.node, cst.Lambda):
            return self.is_awaitable(called.module, called.node.body)
        for decorator in called.decorators:
            made = self.inference.kind(called.module, decorator)
            if isinstance(made, Function):
                return any(
                    self.gives_coroutine(self.inference.kind(made.module, value))
                    for value in made.returned
                )
            if self._declared and not self._is_transparent(called.module, decorator):
                return False
        return (
            called in self.marked
            and not called.is_generator
            and not self.inference.is_property(called)
            and not self.inference.is_context_manager(called)
        )

    def _is_transparent(self, module: Module, decorator: cst.BaseExpression) -> bool:
        func = decorator.func if isinstance(decorator, cst.Call) else decorator
        kind = self.inference.kind(module, func)
        name = func.attr.value if isinstance(func, cst.Attribute) else ""
        return kind in TRANSPARENT or name in CALLED_BY_APP

    def is_async_context(self, module: Module, node: cst.CSTNode) -> bool:
        """Whether it is entered with ``async with``."""
        kind = self.inference.kind(module, node)
        if isinstance(kind, Managed):
            return kind.function in self.marked
        return self.inference.as_library(kind) in ASYNC_CONTEXTS

    def _is_app_context(self, module: Module, node: cst.CSTNode) -> bool:
        """Whether a plain ``with`` can enter it too, where no event loop runs."""
        return self.inference.kind(module, node) == "app_context"

    def is_async_iterable(self, module: Module, node: cst.CSTNode) -> bool:
        """Whether it is iterated with ``async for``."""
        if isinstance(node, cst.Call):
            called = self.inference.kind(module, node.func)
            if isinstance(called, Function) and called.is_generator:
                return called in self.marked and not self.inference.is_context_manager(called)
        return self.inference.kind(module, node) in ASYNC_ITERABLES

    def is_handed_on(self, module: Module, node: cst.CSTNode) -> bool:
        """Whether a coroutine is given to what awaits it: ``asyncio.create_task(f())``."""
        parent = module.parents[node]
        if isinstance(parent, cst.Await):
            return True
        call = module.parents.get(parent) if isinstance(parent, cst.Arg) else None
        func = call.func if isinstance(call, cst.Call) else None
        name = func.attr if isinstance(func, cst.Attribute) else func
        return isinstance(name, cst.Name) and name.value in TAKES_COROUTINES


def _yields(node: cst.CSTNode) -> bool:
    """Whether other code runs while a block is open, perhaps in an event loop."""
    return isinstance(node, cst.Yield) or any(
        _yields(child) for _, child in children(node) if not isinstance(child, FUNCTIONS)
    )


def _first(parameter: Parameter) -> str:
    params = parameter.function.params
    return params[0].name.value if params else ""
