"""What the expressions of an application are, as far as its files say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import libcst as cst

from quartapp.flasklike.port.imports import names_of
from quartapp.flasklike.port.names import (
    ATTRIBUTES,
    CALLS,
    CLASSES,
    CONTEXT_MANAGERS,
    ELEMENTS,
    ENTERED,
    FIXTURES,
    ITEMS,
    OBJECTS,
    PYTEST_FLASK,
    RESPONSE_HOOKS,
    canonical,
)
from quartapp.flasklike.port.program import Binding, Class, Function, Module, Program, Scope


@dataclass(frozen=True)
class Instance:
    """An instance of a class of the application; of its bases only, if *above*."""

    of: Class
    above: bool = False


@dataclass(frozen=True)
class Managed:
    """The context manager that calling a function with @contextmanager gives."""

    function: Function


@dataclass(frozen=True)
class Parameter:
    """A parameter whose values are known only by the calls."""

    function: Function
    name: str


Kind = str | Module | Function | Class | Instance | Managed | Parameter | None
"""A string is a name of a library ("flask.request"), or an object of one ("request")."""


class Inference:
    """Evaluates expressions to kinds, without regard to the order of statements.

    With *ported*, what is imported from flask itself is unknown: it is meant, and synchronous.
    """

    def __init__(self, program: Program, *, ported: bool = False) -> None:
        self.program = program
        self._ported = ported
        self.arguments: dict[tuple[Function, str], list[tuple[Module, cst.BaseExpression]]] = {}
        self._kinds: dict[cst.CSTNode, Kind] = {}
        self._open: set[Binding] = set()
        self._searched: set[tuple[str, Module]] = set()
        self.wrap_views: set[Function] = set()  # decorators in `decorators` of a View
        self._fixtures: dict[str, list[Function]] = {}
        self._derived: dict[str, list[Class]] = {}  # from the classes of OBJECTS
        self._derive()
        self._learn()

    def _derive(self) -> None:
        found: dict[str, list[Class]] = {kind: [] for kind in OBJECTS.values()}
        for module in self.program.modules:
            for of in module.classes:
                found.get(self.library_base(of), []).append(of)
        self._derived = found

    def _learn(self) -> None:
        """Follow arguments into functions until no more of them are found."""
        for module in self.program.modules:
            for function in module.functions.values():
                if self.is_fixture(function):
                    self._fixtures.setdefault(self._fixture_name(function), []).append(function)
        known = -1
        while sum(map(len, self.arguments.values())) > known:
            known = sum(map(len, self.arguments.values()))
            self._kinds.clear()
            found: dict[tuple[Function, str], list[tuple[Module, cst.BaseExpression]]] = {}
            for module in self.program.modules:
                for node in module.scopes:
                    if isinstance(node, cst.Call):
                        self._learn_call(module, node, found)
                for function in module.functions.values():
                    self._learn_decorators(function, found)
            self.arguments = found
        self._kinds.clear()
        for module in self.program.modules:
            for of in module.classes:
                if self.library_base(of) == "view":
                    self._learn_view(of)

    def _learn_call(self, module: Module, call: cst.Call, found: Any) -> None:
        called = self.kind(module, call.func)
        bound = isinstance(called, Class) or (
            isinstance(called, Function)
            and called.owner is not None
            and isinstance(call.func, cst.Attribute)
            and not isinstance(self.kind(module, call.func.value), Class)
        )
        if isinstance(called, Class):
            called = self.attribute(called, "__init__")
        if not isinstance(called, Function):
            return
        names = [param.name.value for param in called.params][1 if bound else 0 :]
        for place, argument in enumerate(call.args):
            if argument.star:
                break
            name = argument.keyword.value if argument.keyword is not None else None
            if name is None and place < len(names):
                name = names[place]
            if name is not None:
                found.setdefault((called, name), []).append((module, argument.value))

    def _learn_decorators(self, function: Function, found: Any) -> None:
        for decorator in function.decorators:
            applied = self.kind(function.module, decorator)
            if isinstance(applied, Function) and applied.params:
                assert isinstance(function.node, cst.FunctionDef)
                key = (applied, applied.params[0].name.value)
                found.setdefault(key, []).append((function.module, function.node.name))

    def _learn_view(self, of: Class) -> None:
        for binding in of.bindings.get("decorators", ()):
            for element in getattr(binding.what, "elements", ()):
                decorator = self.kind(of.module, element.value)
                if isinstance(decorator, Function):
                    self.wrap_views.add(decorator)

    def kind(self, module: Module, node: cst.CSTNode) -> Kind:
        """The kind of an expression; awaiting it makes no difference."""
        if node not in self._kinds:
            self._kinds[node] = None  # what depends on itself is unknown
            self._kinds[node] = self._evaluate(module, node)
        return self._kinds[node]

    def _evaluate(self, module: Module, node: cst.CSTNode) -> Kind:
        match node:
            case cst.Name(value=name):
                parent = module.parents.get(node)
                if isinstance(parent, cst.FunctionDef) and parent.name is node:
                    return module.functions[parent]
                return self.lookup(name, module.scope_of(node))
            case cst.Attribute(value=value, attr=attr):
                return self.attribute(self.kind(module, value), attr.value)
            case cst.Await(expression=value) | cst.NamedExpr(value=value):
                return self.kind(module, value)
            case cst.Call(func=func):
                return self._called(module, node, self.kind(module, func))
            case cst.Subscript(value=value):
                kind = self.kind(module, value)
                return ITEMS.get(kind) if isinstance(kind, str) else None
            case cst.IfExp(body=first, orelse=second):
                return self.kind(module, first) or self.kind(module, second)
            case cst.BooleanOperation(left=first, right=second):
                return self.kind(module, first) or self.kind(module, second)
            case cst.Lambda():
                return module.functions[node]
        return None

    def lookup(self, name: str, scope: Scope) -> Kind:
        """What *name* is where it is used in *scope*."""
        at: Scope | None = scope
        while at is not None:
            if name in at.bindings and (at is scope or not isinstance(at, Class)):
                return self._first_bound(at.bindings[name], at)
            at = at.outer
        return self._starred(name, scope.module) or f"builtins.{name}"

    def _starred(self, name: str, module: Module) -> Kind:
        """What ``from ... import *`` brings under *name*, or None."""
        if name.startswith("_") or (name, module) in self._searched:
            return None
        self._searched.add((name, module))  # modules may import one another
        found: Iterator[Kind] = (self._of_star(source, name, module) for source in module.stars)
        kind = next((kind for kind in found if kind is not None), None)
        self._searched.discard((name, module))
        return kind

    def _of_star(self, source: str, name: str, importer: Module) -> Kind:
        found, last = self.program.find(source, importer)
        if found is not None:
            if last:  # a name that is no module
                return None
            known = name in found.bindings
            return self.lookup(name, found) if known else self._starred(name, found)
        return self._imported(f"{source}.{name}", importer) if name in names_of(source) else None

    def _first_bound(self, bindings: list[Binding], scope: Scope) -> Kind:
        for binding in bindings:
            if binding not in self._open:  # modules may import one another
                self._open.add(binding)
                kind = self._bound(binding, scope)
                self._open.discard(binding)
                if kind is not None:
                    return kind
        return None

    def _bound(self, binding: Binding, scope: Scope) -> Kind:
        module, what = scope.module, binding.what
        match binding.how:
            case "own":
                return what  # type: ignore[no-any-return]  # a Function or a Class
            case "value":
                return self.kind(module, what)
            case "import":
                return self._imported(what, module)
            case "param":
                return self._param(*what)
            case "entered":
                return self._entered(self.kind(module, what))
            case "element":
                kind = self._element(module, what)
                return kind if isinstance(kind, str) else None
            case "part":
                kind = self._element(module, what[0])
                return kind[what[1]] or None if isinstance(kind, tuple) else None
        return None

    def _imported(self, dotted: str, importer: Module) -> Kind:
        module, name = self.program.find(dotted, importer)
        if module is None:
            if self._ported and dotted.partition(".")[0] == "flask":
                return None
            name = canonical(dotted)
            return OBJECTS.get(name, name)
        if name in module.bindings:
            return self.lookup(name, module)
        return self._starred(name, module) if name else module

    def _element(self, module: Module, iterated: cst.CSTNode) -> Any:
        kind = self.kind(module, iterated)
        return ELEMENTS.get(kind) if isinstance(kind, str) else None

    def _entered(self, kind: Kind) -> Kind:
        if isinstance(kind, Managed):
            return self._first(kind.function, kind.function.yielded)
        if isinstance(kind, Instance):
            return kind
        return ENTERED.get(kind) if isinstance(kind, str) else None

    def attribute(self, kind: Kind, name: str) -> Kind:
        """The kind of the attribute *name* of something."""
        match kind:
            case str():
                return self._of_derived(kind, name) or _of_library(kind, name)
            case Module():
                found, _ = self.program.find("." + name, kind)
                return self.lookup(name, kind) if name in kind.bindings else found
            case Instance(of=of, above=above):
                return self._of_class(of, name, instance=True, above=above)
            case Class():
                return self._of_class(kind, name, instance=False)
        return None

    def _of_derived(self, kind: str, name: str) -> Function | None:
        """A method that a class of the application adds to ``request`` or ``current_app``."""
        if f"{kind}.{name}" in CALLS:
            return None
        for of in self._derived.get(kind, ()):
            for binding in of.bindings.get(name, ()):
                if isinstance(binding.what, Function):
                    return binding.what
        return None

    def _of_class(self, of: Class, name: str, *, instance: bool, above: bool = False) -> Kind:
        places = [] if above else [of.bindings.get(name, ())]
        if instance and not above:
            places.append(of.attributes.get(name, ()))
        for bindings in places:
            for binding in bindings:
                scope = of if binding.how == "own" else self._scope_of(binding, of)
                kind = self._bound(binding, scope)
                if isinstance(kind, Function) and instance and self.is_property(kind):
                    return self._first(kind, kind.returned)
                if kind is not None:
                    return kind
        for base in of.bases:
            kind = self.kind(of.module, base)
            if isinstance(kind, Class) and kind is not of:
                found = self._of_class(kind, name, instance=instance)
            else:
                library = CLASSES.get(kind, "") if isinstance(kind, str) else ""
                found = _of_library(library, name) if library else None
            if found is not None:
                return found
        return None

    def _scope_of(self, binding: Binding, of: Class) -> Scope:
        return of.module if isinstance(binding.what, cst.CSTNode) else of

    def library_base(self, of: Class) -> str:
        """The kind of the library's class from which a class of the application derives."""
        for base in of.bases:
            kind = self.kind(of.module, base)
            if isinstance(kind, str) and kind in CLASSES:
                return CLASSES[kind]
            if isinstance(kind, Class) and kind is not of and self.library_base(kind):
                return self.library_base(kind)
        return ""

    def as_library(self, kind: Kind) -> str:
        """The library's kind of a value, also of an instance of a subclass; or ""."""
        if isinstance(kind, Instance):
            return self.library_base(kind.of)
        return kind if isinstance(kind, str) else ""

    def _called(self, module: Module, call: cst.Call, kind: Kind) -> Kind:
        match kind:
            case str() if kind == "builtins.super":
                function = module.function_of(call)
                owner = function.owner if function is not None else None
                return Instance(owner, above=True) if owner is not None else None
            case str():
                return CALLS[kind].kind or None if kind in CALLS else CLASSES.get(kind)
            case Class():
                return Instance(kind)
            case Function():
                if self.is_context_manager(kind):
                    return Managed(kind)
                return self._first(kind, kind.returned) if not kind.is_generator else None
        return None

    def _first(self, function: Function, values: list[cst.BaseExpression]) -> Kind:
        kinds = (self.kind(function.module, value) for value in values)
        return next((kind for kind in kinds if kind is not None), None)

    def _param(self, function: Function, param: cst.Param) -> Kind:
        name = param.name.value
        if param.annotation is not None:
            kind = self._annotated(function.module, param.annotation.annotation)
            if kind is not None:
                return kind
        if function.owner is not None and function.params[0] is param:
            names = {self.kind(function.module, decorator) for decorator in function.decorators}
            if "builtins.classmethod" in names:
                return function.owner
            if "builtins.staticmethod" not in names:
                return Instance(function.owner)
        if any(called in RESPONSE_HOOKS for called in registrations(function)):
            return "response"
        if function.module.is_test and (self.is_fixture(function) or self.is_test(function)):
            return self._fixture(name, function)
        values = self.arguments.get((function, name), ())
        kinds = [self.kind(module, value) for module, value in values]
        if self._ported and None in kinds:
            return None
        known = next((k for k in kinds if k is not None and not isinstance(k, Function)), None)
        return known if known is not None else Parameter(function, name)

    def _annotated(self, module: Module, annotation: cst.BaseExpression) -> Kind:
        if isinstance(annotation, cst.BinaryOperation):  # Client | None
            return self._annotated(module, annotation.left)
        if isinstance(annotation, cst.SimpleString):
            name = str(annotation.evaluated_value)
            kind = self.lookup(name, module) if name.isidentifier() else None
        else:
            kind = self.kind(module, annotation)
        if isinstance(kind, Class):
            return Instance(kind)
        return CLASSES.get(kind) if isinstance(kind, str) else None

    def is_test(self, function: Function) -> bool:
        """Whether pytest calls it as a test."""
        owner = function.owner
        return function.name.startswith("test") and (
            function.outer is function.module or (owner is not None and owner.outer is owner.module)
        )

    def is_fixture(self, function: Function) -> bool:
        """Whether it is a fixture of pytest."""
        return self._fixture_call(function) is not None

    def _fixture_call(self, function: Function) -> cst.BaseExpression | None:
        for decorator in function.decorators:
            func = decorator.func if isinstance(decorator, cst.Call) else decorator
            if self.kind(function.module, func) in FIXTURES:
                return decorator
        return None

    def _fixture_name(self, function: Function) -> str:
        call = self._fixture_call(function)
        for argument in call.args if isinstance(call, cst.Call) else ():
            if argument.keyword is not None and argument.keyword.value == "name":
                return str(getattr(argument.value, "evaluated_value", function.name))
        return function.name

    def _fixture(self, name: str, user: Function) -> Kind:
        def distance(fixture: Function) -> int:
            if fixture.module is user.module:
                return 0
            folder = fixture.module.path.parent
            near = user.module.path.is_relative_to(folder)
            return 1000 - len(folder.parts) if near else 2000

        candidates = [f for f in self._fixtures.get(name, ()) if f is not user]
        if not candidates:
            return PYTEST_FLASK.get(name)
        found = min(candidates, key=distance)
        return self._first(found, found.yielded or found.returned)

    def is_context_manager(self, function: Function) -> bool:
        """Whether calling it gives a context manager, as contextlib's decorators do."""
        return any(
            self.kind(function.module, decorator) in CONTEXT_MANAGERS
            for decorator in function.decorators
        )

    def is_property(self, function: Function) -> bool:
        """Whether it is called by reading an attribute."""
        names = ("builtins.property", "functools.cached_property", "werkzeug.utils.cached_property")
        return any(
            self.kind(function.module, decorator) in names for decorator in function.decorators
        )


def _of_library(kind: str, name: str) -> str:
    key = canonical(f"{kind}.{name}")
    return OBJECTS.get(key) or (ATTRIBUTES[key].kind if key in ATTRIBUTES else key)


def registrations(function: Function) -> list[str]:
    """The last names of its decorators: ``route`` of ``@bp.route("/")``."""
    names = []
    for decorator in function.decorators:
        func = decorator.func if isinstance(decorator, cst.Call) else decorator
        if isinstance(func, cst.Attribute):
            names.append(func.attr.value)
        elif isinstance(func, cst.Name):
            names.append(func.value)
    return names
