"""Private names of other packages are only in `quartapp.flasklike._upstream`."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from quartapp.flasklike import _upstream
from tests.flasklike.upstream_sources import classes, modules, upstream_bases

TREES = {
    module.__name__: ast.parse(Path(str(module.__file__)).read_text())
    for module in modules()
    if module is not _upstream
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def private_imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if not name.startswith("quartapp.") and any(map(is_private, name.split("."))):
                yield name


def defined(tree: ast.AST) -> set[str]:
    """The names of functions and classes, and the names and attributes of `self` assigned to."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
            case ast.Attribute(value=ast.Name(id="self"), ctx=ast.Store()):
                names.add(node.attr)
    return set(filter(is_private, names))


def accessed(tree: ast.AST) -> set[str]:
    """The private attributes that are accessed or assigned."""
    names = (node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return set(filter(is_private, names))


def upstream_privates() -> set[str]:
    """The private attributes of the base classes that flasklike's classes have upstream."""
    bases = {base for cls in classes() for base in upstream_bases(cls)}
    trees = [ast.parse(textwrap.dedent(inspect.getsource(base))) for base in bases]
    names = {name for base in bases for name in vars(base) if is_private(name)}
    return names.union(*map(accessed, trees))


@pytest.mark.parametrize("module", TREES)
def test_no_other_module_imports_a_private_name(module: str) -> None:
    assert list(private_imports(TREES[module])) == []


@pytest.mark.slow
def test_every_private_attribute_is_listed_and_used() -> None:
    ours = set[str]().union(*map(defined, TREES.values()))
    used = ours.union(*map(accessed, TREES.values()))
    assert used & upstream_privates() | used - ours == set(_upstream.ATTRIBUTES)


def test_private_imports_are_found() -> None:
    source = "import quart._x\nfrom flask._y import z\nfrom flask import _z, ok\nimport quart.ctx"
    assert list(private_imports(ast.parse(source))) == ["quart._x", "flask._y.z", "flask._z"]
