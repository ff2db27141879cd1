"""The Python code of templates: it awaits what it meets, and escapes into plain strings.

Jinja's code generator for asynchronous environments writes ``await`` around each attribute, item,
call, filter, test and loop. This one writes calls of `values` in the same places, but where a value
is used, and not where it comes from: `show` awaits what is put out, and an attribute that is only
on the way to another attribute is awaited if it has no such attribute.

A variable needs no call: variables are awaited before (`environment.Template`), what loops and
assignments bind is awaited when it is bound.
"""

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from types import CoroutineType
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, optimizeconst
from jinja2.filters import FILTERS
from jinja2.tests import TESTS

from quartapp.flasklike.concurrency.awaiting import drop

_OF_AWAITABLES = frozenset({*dir(asyncio.Task), *dir(CoroutineType)})
"""Attributes that an awaitable may have itself, where those of its result are meant."""

_FILTERS_THAT_RETURN_AN_ELEMENT = {"attr", "first", "last", "max", "min", "random"}
"""Those of Jinja's own filters that may return an awaitable."""

_CONTAINS = {"in", "notin"}

_AWAITS_NOTHING = (
    nodes.BinExpr,
    nodes.Compare,
    nodes.Concat,
    nodes.CondExpr,
    nodes.If,
    nodes.Literal,
    nodes.Name,
    nodes.Output,
    nodes.Pair,
    nodes.Template,
    nodes.UnaryExpr,
)

Visit = Callable[..., None]


class AwaitingCodeGenerator(CodeGenerator):
    """Writes code for an environment that is synchronous; for another, what Jinja writes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shown: nodes.Node | None = None  # `show` is written around it, and awaits
        self._on_the_way: set[nodes.Node] = set()  # attributes that need not be awaited
        self._wrapped: dict[nodes.Node, tuple[str, str]] = {}  # what is written around them
        self._recursive: nodes.For | None = None  # the loop whose function is being written

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        """Write a module, with `may_await`: whether rendering it may have to await anything."""
        for call in node.find_all((nodes.Filter, nodes.Test)):
            call.as_const = partial(_as_const, call.as_const)  # type: ignore[method-assign]
        super().visit_Template(node, frame)
        self.writeline(f"may_await = {any(map(_may_await, node.find_all(nodes.Node)))}")

    def write_commons(self) -> None:
        """Write the preamble of a function: local names for what is called most."""
        super().write_commons()
        if not self.environment.is_async:
            self.writeline("get_attr = environment.getattr")
            for name in ("attr", "awaited", "show", "show_attr", "show_item"):
                self.writeline(f"{name} = environment.{name}")

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """Write *node*, and around it what was asked for."""
        before, after = self._wrapped.pop(node, ("", ""))
        self.write(before)
        result = super().visit(node, *args, **kwargs)
        self.write(after)
        return result

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or self.environment.is_async:
            super()._output_child_pre(node, frame, finalize)
        elif finalize.src is not None:
            self.write(f"show({finalize.src}")
        else:
            self.write(f"{_function_that_shows(node)}(")
            self._shown = node

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        """Write an attribute: as it is if it is on the way to another, else awaited."""
        if self.environment.is_async:
            super().visit_Getattr(node, frame)
        elif node is self._shown:
            self._attribute(node, frame)  # the name of the function is written
        else:
            self._called_attribute(node, frame)

    @optimizeconst
    def _called_attribute(self, node: nodes.Getattr, frame: Frame) -> None:
        self.write("attr(" if node in self._on_the_way else "get_attr(")
        self._attribute(node, frame)
        self.write(")")

    def _attribute(self, node: nodes.Getattr, frame: Frame) -> None:
        if isinstance(node.node, nodes.Getattr) and node.attr not in _OF_AWAITABLES:
            self._on_the_way.add(node.node)
        self.visit(node.node, frame)
        self.write(f", {node.attr!r}")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        """Write an item, awaited."""
        if node is self._shown and _function_that_shows(node) == "show_item":
            self.visit(node.node, frame)
            self.write(", ")
            self.visit(node.arg, frame)
        else:
            super().visit_Getitem(node, frame)

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:
        """Write a call, which `environment.Context` awaits."""
        self._unpack_arguments(node)
        super().visit_Call(node, frame, forward_caller=forward_caller)

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:
        """Write a filter, and await; one that iterates can iterate asynchronously."""
        function = self.environment.filters.get(node.name)
        if node.node is not None and getattr(function, "jinja_async_variant", False):
            self._wrap(node.node, "environment.iterated(", ")")
        self._unpack_arguments(node)
        if function is FILTERS.get(node.name) and node.name not in _FILTERS_THAT_RETURN_AN_ELEMENT:
            super().visit_Filter(node, frame)
        else:
            self._await(node, super().visit_Filter, frame)

    def visit_Test(self, node: nodes.Test, frame: Frame) -> None:
        """Write a test, and await unless it is one of Jinja's."""
        self._unpack_arguments(node)
        if self.environment.tests.get(node.name) is TESTS.get(node.name):
            super().visit_Test(node, frame)
        else:
            self._await(node, super().visit_Test, frame)

    def _await(self, node: nodes.Expr, visit: Visit, frame: Frame) -> None:
        if node is self._shown or self.environment.is_async:
            visit(node, frame)
        else:
            self.write("awaited(")
            visit(node, frame)
            self.write(")")

    def _wrap(self, node: nodes.Node | None, before: str, after: str) -> None:
        if node is not None and not self.environment.is_async:
            self._wrapped[node] = (before, after)

    def _unpack_arguments(self, node: nodes.Call | nodes.Filter | nodes.Test) -> None:
        self._wrap(node.dyn_args, "environment.iterated(", ")")
        self._wrap(node.dyn_kwargs, "environment.unpacked_mapping(", ")")

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        """Write a loop, which may be one over an asynchronous iterable."""
        if node.recursive:
            self._recursive = node
        else:
            self._wrap(node.iter, *_iterated(node))
        super().visit_For(node, frame)

    def buffer(self, frame: Frame) -> None:
        """Begin a buffer; in the function of a recursive loop this comes first."""
        super().buffer(frame)
        node, self._recursive = self._recursive, None
        if node is not None and not self.environment.is_async:
            before, after = _iterated(node)
            self.writeline(f"reciter = {before}reciter{after}")

    def visit_Operand(self, node: nodes.Operand, frame: Frame) -> None:
        """Write one operator of a comparison, and its right side."""
        if node.op in _CONTAINS:
            self._wrap(node.expr, "environment.contents(", ")")
        super().visit_Operand(node, frame)

    def visit_Assign(self, node: nodes.Assign, frame: Frame) -> None:
        """Write an assignment; what is unpacked to several names is awaited."""
        if isinstance(node.target, nodes.Tuple):
            self._wrap(node.node, "environment.unpacked(", ")")
        super().visit_Assign(node, frame)


def _function_that_shows(node: nodes.Expr) -> str:
    if isinstance(node, nodes.Getattr):
        return "show_attr"
    if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Slice):
        return "show_item"
    return "show"


def _may_await(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Assign):
        return isinstance(node.target, nodes.Tuple)
    if isinstance(node, nodes.Operand):
        return node.op in _CONTAINS
    return not isinstance(node, _AWAITS_NOTHING)


def _iterated(node: nodes.For) -> tuple[str, str]:
    unpack = isinstance(node.target, nodes.Tuple)
    return "environment.iterated(", ", True)" if unpack else ")"


def _as_const(original: Callable[..., Any], *args: Any) -> Any:
    """The value of a filter or test that is applied to constants, unless it must be awaited."""
    value = original(*args)
    if not inspect.isawaitable(value):
        return value
    drop(value)
    raise nodes.Impossible
