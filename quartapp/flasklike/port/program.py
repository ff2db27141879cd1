"""The modules, scopes, functions and classes of an application, as its files say them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import libcst as cst

FUNCTIONS = (cst.FunctionDef, cst.Lambda)
_COMPREHENSIONS = (cst.ListComp, cst.SetComp, cst.DictComp, cst.GeneratorExp)
_LAYOUT = re.compile(r"whitespace|^[lr]par$|leading_lines|lines_after|^header$|^footer$|comma")


@dataclass(eq=False)
class Binding:
    """One place where a name gets a value: *how* says what *what* is to it."""

    how: str  # value, element, entered, own, import, param, unknown
    what: Any = None


@dataclass(eq=False)
class Scope:
    node: cst.CSTNode
    module: "Module"
    outer: "Scope | None" = None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)  # declared global

    def bind(self, name: str, how: str, what: Any = None) -> None:
        scope: Scope = self
        if how == "walrus":  # it binds outside the comprehension
            how = "value"
            while isinstance(scope.node, _COMPREHENSIONS) and scope.outer is not None:
                scope = scope.outer
        if name in scope.shared:
            scope = scope.module
        scope.bindings.setdefault(name, []).append(Binding(how, what))


@dataclass(eq=False)
class Function(Scope):
    """A function, method or lambda. `own` are the expressions and statements of its body alone."""

    own: list[cst.CSTNode] = field(default_factory=list)
    returned: list[cst.BaseExpression] = field(default_factory=list)
    yielded: list[cst.BaseExpression] = field(default_factory=list)
    is_generator: bool = False
    returns_value: bool = False

    @property
    def name(self) -> str:
        return self.node.name.value if isinstance(self.node, cst.FunctionDef) else "lambda"

    @property
    def is_async(self) -> bool:
        return isinstance(self.node, cst.FunctionDef) and self.node.asynchronous is not None

    @property
    def decorators(self) -> list[cst.BaseExpression]:
        decorators = self.node.decorators if isinstance(self.node, cst.FunctionDef) else ()
        return [decorator.decorator for decorator in decorators]

    @property
    def params(self) -> list[cst.Param]:
        params: cst.Parameters = self.node.params  # type: ignore[attr-defined]  # of both kinds
        return [*params.posonly_params, *params.params, *params.kwonly_params]

    @property
    def owner(self) -> "Class | None":
        return self.outer if isinstance(self.outer, Class) else None


@dataclass(eq=False)
class Class(Scope):
    attributes: dict[str, list[Binding]] = field(default_factory=dict)  # self.NAME = ...

    @property
    def bases(self) -> list[cst.BaseExpression]:
        assert isinstance(self.node, cst.ClassDef)
        return [base.value for base in self.node.bases]


@dataclass(eq=False)
class Module(Scope):
    path: Path = Path()
    own: list[cst.CSTNode] = field(default_factory=list)
    functions: dict[cst.CSTNode, Function] = field(default_factory=dict)
    classes: list[Class] = field(default_factory=list)
    parents: dict[cst.CSTNode, cst.CSTNode] = field(default_factory=dict)
    scopes: dict[cst.CSTNode, Scope] = field(default_factory=dict)
    imports: list[tuple[cst.CSTNode, str]] = field(default_factory=list)
    stars: list[str] = field(default_factory=list)  # of `from NAME import *`

    @property
    def tree(self) -> cst.Module:
        assert isinstance(self.node, cst.Module)
        return self.node

    @property
    def is_test(self) -> bool:
        return is_test(self.path)

    def scope_of(self, node: cst.CSTNode) -> Scope:
        """The scope in which *node* is evaluated."""
        return self.scopes[node]

    def function_of(self, node: cst.CSTNode) -> Function | None:
        """The innermost function or lambda around *node*, unless a class body is nearer."""
        scope: Scope | None = self.scopes[node]
        while scope is not None and not isinstance(scope, Function | Class):
            scope = scope.outer
        return scope if isinstance(scope, Function) else None


def is_test(path: Path) -> bool:
    """Whether pytest would find tests or fixtures in it, or it lies in a folder of tests."""
    name = path.name
    return (
        name == "conftest.py"
        or name.startswith("test_")
        or name.endswith("_test.py")
        or bool({"test", "tests"} & set(path.parts[:-1]))
    )


@cache
def _fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    names: Iterable[str] = kind.__dataclass_fields__
    return tuple(name for name in names if not _LAYOUT.search(name))


def children(node: cst.CSTNode) -> Iterator[tuple[str, cst.CSTNode]]:
    """The parts of *node* with the names of their fields, without whitespace and comments."""
    for name in _fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield name, value
        elif isinstance(value, list | tuple):
            for item in value:
                if isinstance(item, cst.CSTNode):
                    yield name, item


def dotted_name(node: cst.CSTNode | None) -> str:
    """``a.b`` of an expression, or "" if it is something else."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        value = dotted_name(node.value)
        return f"{value}.{node.attr.value}" if value else ""
    return ""


class Reader:
    """Reads one file's tree into a Module."""

    def __init__(self, tree: cst.Module, path: Path) -> None:
        self.module = Module(tree, None, path=path)  # type: ignore[arg-type]  # set below
        self.module.module = self.module
        self._walk(tree, self.module)

    def _walk(self, node: cst.CSTNode, scope: Scope) -> None:
        module = self.module
        module.scopes[node] = scope
        around = module.function_of(node)
        (module if around is None else around).own.append(node)
        inner = self._enter(node, scope)
        self._record(node, scope, around)
        for name, child in children(node):
            module.parents[child] = node
            outside = name in ("decorators", "returns", "bases", "keywords")
            if name == "params" and isinstance(child, cst.Parameters):
                self._walk_params(child, scope)
            else:
                self._walk(child, scope if outside else inner)

    def _walk_params(self, params: cst.Parameters, scope: Scope) -> None:
        """Defaults and annotations are evaluated where the function is defined."""
        self.module.scopes[params] = scope
        for _, param in children(params):
            self.module.parents[param] = params
            self._walk(param, scope)

    def _enter(self, node: cst.CSTNode, scope: Scope) -> Scope:
        module = self.module
        if isinstance(node, FUNCTIONS):
            function = Function(node, module, scope)
            module.functions[node] = function
            if isinstance(node, cst.FunctionDef):
                scope.bind(node.name.value, "own", function)
            else:
                function.returned.append(node.body)
            params = node.params
            for param in function.params:
                function.bind(param.name.value, "param", (function, param))
            for star in (params.star_arg, params.star_kwarg):
                if isinstance(star, cst.Param):
                    function.bind(star.name.value, "unknown")
            module.scopes[node.body] = function
            return function
        if isinstance(node, cst.ClassDef):
            made = Class(node, module, scope)
            module.classes.append(made)
            scope.bind(node.name.value, "own", made)
            return made
        if isinstance(node, _COMPREHENSIONS):
            return Scope(node, module, scope)
        return scope

    def _record(self, node: cst.CSTNode, scope: Scope, around: Function | None) -> None:
        match node:
            case cst.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target.target, "value", value, scope)
            case cst.AnnAssign(target=target, value=cst.BaseExpression() as value):
                self._bind(target, "value", value, scope)
            case cst.NamedExpr(target=target, value=value):
                self._bind(target, "walrus", value, scope)
            case cst.For(target=target, iter=iterated) | cst.CompFor(target=target, iter=iterated):
                self._bind(target, "element", iterated, scope)
            case cst.WithItem(item=item, asname=cst.AsName(name=name)):
                self._bind(name, "entered", item, scope)
            case cst.ExceptHandler(name=cst.AsName(name=name)):
                self._bind(name, "unknown", None, scope)
            case cst.Global(names=names):
                scope.shared.update(item.name.value for item in names)
            case cst.Import(names=names):
                for alias in names:
                    self._import(node, alias, "", scope)
            case cst.ImportFrom(names=cst.ImportStar()):
                self.module.stars.append("." * len(node.relative) + dotted_name(node.module))
            case cst.ImportFrom(names=[*names]):
                source = "." * len(node.relative) + dotted_name(node.module)
                for alias in names:
                    self._import(node, alias, source, scope)
            case cst.Return(value=value) if around is not None and value is not None:
                around.returned.append(value)
                around.returns_value = True
            case cst.Yield(value=value) if around is not None:
                around.is_generator = True
                if isinstance(value, cst.BaseExpression):
                    around.yielded.append(value)

    def _import(self, node: cst.CSTNode, alias: cst.ImportAlias, source: str, scope: Scope) -> None:
        name = dotted_name(alias.name)
        whole = f"{source}{'' if not source or source.endswith('.') else '.'}{name}"
        self.module.imports.append((node, whole))
        if alias.asname is not None:
            scope.bind(dotted_name(alias.asname.name), "import", whole)
        elif source:
            scope.bind(name, "import", whole)
        else:
            first = name.partition(".")[0]
            scope.bind(first, "import", first)

    def _bind(self, target: cst.CSTNode, how: str, what: Any, scope: Scope) -> None:
        match target:
            case cst.Name(value=name):
                scope.bind(name, how, what)
            case cst.Attribute(value=cst.Name(value="self"), attr=attr):
                outer: Scope | None = scope
                while outer is not None and not isinstance(outer, Class):
                    outer = outer.outer
                if outer is not None:
                    outer.attributes.setdefault(attr.value, []).append(Binding(how, what))
            case cst.Tuple(elements=elements) | cst.List(elements=elements):
                pairs = isinstance(what, cst.Tuple) and len(what.elements) == len(elements)
                for place, element in enumerate(elements):
                    if pairs and how == "value":
                        self._bind(element.value, how, what.elements[place].value, scope)
                    elif how == "element":
                        self._bind(element.value, "part", (what, place), scope)
                    else:
                        self._bind(element.value, "unknown", None, scope)


class Program:
    """All modules, found by the names under which they import one another.

    Their paths are relative to the root of the application; *prefix* is the name of the package
    that the root is, if it is one.
    """

    def __init__(self, modules: list[Module], prefix: str = "") -> None:
        self.modules = modules
        self.by_path = {module.path: module for module in modules}
        self._by_name: dict[str, Module] = {}
        for module in modules:
            for name in _names(module.path, self.by_path, prefix):
                self._by_name.setdefault(name, module)

    def find(self, dotted: str, importer: Module) -> tuple[Module | None, str]:
        """The module that *dotted* names, or the one that has its last part, and that part."""
        if dotted.startswith("."):
            return self._find_relative(dotted, importer)
        if dotted in self._by_name:
            return self._by_name[dotted], ""
        source, _, name = dotted.rpartition(".")
        return self._by_name.get(source), name

    def _find_relative(self, dotted: str, importer: Module) -> tuple[Module | None, str]:
        name = dotted.lstrip(".")
        folder = importer.path.parent
        for _ in range(len(dotted) - len(name) - 1):
            folder = folder.parent
        path = folder.joinpath(*name.split("."))
        found = self._at(path)
        if found is not None:
            return found, ""
        return self._at(path.parent), path.name

    def _at(self, path: Path) -> Module | None:
        file = path.parent / f"{path.name}.py"
        return self.by_path.get(file) or self.by_path.get(path / "__init__.py")


def _names(path: Path, known: dict[Path, Module], prefix: str) -> Iterator[str]:
    """By its packages first, then from the root."""
    module = path.parent if path.name == "__init__.py" else path.with_suffix("")
    if prefix:
        yield ".".join((prefix, *module.parts))
        return
    top = module.parent
    while top / "__init__.py" in known and top != top.parent:
        top = top.parent
    for start in dict.fromkeys((top, Path(), Path("src"))):
        if module.is_relative_to(start) and module != start:
            yield ".".join(module.relative_to(start).parts)
