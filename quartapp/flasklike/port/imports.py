"""Imports of flask become imports of flasklike."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module

import libcst as cst

from quartapp.flasklike.port.names import PACKAGES
from quartapp.flasklike.port.program import dotted_name

FLASKLIKE = "quartapp.flasklike"


@cache
def home(source: str, name: str) -> str | None:
    """The module from which to import what ``from source import name`` imports from flask."""
    rest = source.removeprefix("flask")
    for module in (FLASKLIKE + rest, FLASKLIKE, "quart" + rest):
        if _has(module, name):
            return module
    return None


@cache
def names_of(source: str) -> frozenset[str]:
    """What ``from source import *`` imports from flasklike, Flask or Quart."""
    package = next((p for p in PACKAGES if source == p or source.startswith(f"{p}.")), None)
    if package is None:
        return frozenset()
    try:
        found = import_module(FLASKLIKE + source.removeprefix(package))
    except ImportError:
        return frozenset()
    public = [name for name in vars(found) if not name.startswith("_")]
    return frozenset(getattr(found, "__all__", public))


@cache
def _has(module: str, name: str) -> bool:
    try:
        found = import_module(module)
    except ImportError:
        return False
    if name in vars(found) or name in getattr(found, "__all__", ()) or hasattr(found, name):
        return True
    try:
        import_module(f"{module}.{name}")
    except ImportError:
        return False
    return True


def is_flask(name: str) -> bool:
    """Whether a module is flask's."""
    return name == "flask" or name.startswith("flask.")


def as_expression(name: str) -> cst.Attribute | cst.Name:
    """A dotted name as an expression."""
    return cst.ensure_type(cst.parse_expression(name), cst.Attribute | cst.Name)  # type: ignore[arg-type]  # a union


class ImportRewriter(cst.CSTTransformer):
    """Rewrites the imports of flask in one file, and keeps their layout."""

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine]:
        if len(updated_node.body) != 1 or not isinstance(updated_node.body[0], cst.ImportFrom):
            return updated_node
        statement = updated_node.body[0]
        source = dotted_name(statement.module)
        if (
            statement.relative
            or not is_flask(source)
            or isinstance(statement.names, cst.ImportStar)
        ):
            return updated_node
        groups: dict[str, list[cst.ImportAlias]] = {}
        for alias in statement.names:
            groups.setdefault(home(source, dotted_name(alias.name)) or source, []).append(alias)
        if len(groups) == 1:
            return updated_node.with_changes(body=[_moved(statement, *groups)])
        lines = [
            updated_node.with_changes(
                body=[
                    _moved(statement.with_changes(names=_listed(names), lpar=None, rpar=None), to)
                ]
            )
            for to, names in groups.items()
        ]
        return cst.FlattenSentinel(
            [lines[0], *(line.with_changes(leading_lines=()) for line in lines[1:])]
        )

    def leave_ImportFrom(
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom:
        source = dotted_name(updated_node.module)
        if isinstance(updated_node.names, cst.ImportStar) and is_flask(source):
            return _moved(updated_node, FLASKLIKE + source.removeprefix("flask"))
        return updated_node

    def leave_ImportAlias(
        self, original_node: cst.ImportAlias, updated_node: cst.ImportAlias
    ) -> cst.ImportAlias:
        name = dotted_name(updated_node.name)
        if not is_flask(name) or not self._plain:
            return updated_node
        if updated_node.asname is not None:
            moved = FLASKLIKE + name.removeprefix("flask")
            return updated_node.with_changes(name=as_expression(moved))
        return updated_node.with_changes(
            name=as_expression(FLASKLIKE), asname=cst.AsName(cst.Name("flask"))
        )

    _plain = False

    def visit_Import(self, node: cst.Import) -> None:
        self._plain = True

    def leave_Import(self, original_node: cst.Import, updated_node: cst.Import) -> cst.Import:
        self._plain = False
        return updated_node


def _moved(statement: cst.ImportFrom, module: str) -> cst.ImportFrom:
    if dotted_name(statement.module) == module:
        return statement
    return statement.with_changes(module=as_expression(module))


def _listed(names: Sequence[cst.ImportAlias]) -> list[cst.ImportAlias]:
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    last = names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return [*(name.with_changes(comma=comma) for name in names[:-1]), last]


class NameImporter(cst.CSTTransformer):
    """Imports *new* beside *old* from a module, or in its place if *old* is not used any more."""

    def __init__(self, module: str, old: str, new: str, *, keep: bool) -> None:
        self._source, self._old, self._new, self._keep = module, old, new, keep

    def leave_ImportFrom(
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom:
        names = updated_node.names
        if dotted_name(updated_node.module) != self._source or isinstance(names, cst.ImportStar):
            return updated_node
        present = [dotted_name(alias.name) for alias in names]
        if self._old not in present:
            return updated_node
        if self._new in present:
            if self._keep:
                return updated_node
            left = [alias for alias in names if dotted_name(alias.name) != self._old]
            return updated_node.with_changes(names=_listed(left))
        place = present.index(self._old)
        new = names[place].with_changes(name=cst.Name(self._new))
        if not self._keep:
            return updated_node.with_changes(names=[*names[:place], new, *names[place + 1 :]])
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        old = names[place].with_changes(comma=comma)
        return updated_node.with_changes(names=[*names[:place], old, new, *names[place + 1 :]])
