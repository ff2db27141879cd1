"""Writes `async` and `await` into a file, and nothing else: layout and comments stay."""

from typing import TypeVar

import libcst as cst

from quartapp.flasklike.port.coroutines import Coroutines
from quartapp.flasklike.port.imports import ImportRewriter, NameImporter
from quartapp.flasklike.port.names import CONTEXT_MANAGERS
from quartapp.flasklike.port.program import Function, Module, children

Expression = TypeVar("Expression", cst.Attribute, cst.Call)

_UNITTEST = {"setUp": "asyncSetUp", "tearDown": "asyncTearDown"}
_ASYNC_TESTCASE = "IsolatedAsyncioTestCase"
_ITERATORS = {
    "Iterator": "AsyncIterator",
    "Iterable": "AsyncIterable",
    "Generator": "AsyncGenerator",
}


def rewritten(module: Module, coroutines: Coroutines) -> cst.Module:
    """The tree of *module* as it works on App."""
    rewriter = _Rewriter(module, coroutines)
    tree = module.tree.visit(rewriter).visit(ImportRewriter())
    for (source, old), new in rewriter.renamed.items():
        keep = rewriter.uses.get(old, 0) > rewriter.replaced.get(old, 0)
        tree = tree.visit(NameImporter(source, old, new, keep=keep))
    return tree


class _Rewriter(cst.CSTTransformer):
    def __init__(self, module: Module, coroutines: Coroutines) -> None:
        self._source = module
        self._coroutines = coroutines
        self._inference = coroutines.inference
        self.renamed: dict[tuple[str, str], str] = {}
        self.replaced: dict[str, int] = {}
        self.uses: dict[str, int] = {}

    def _is_marked(self, node: cst.CSTNode) -> bool:
        return self._source.function_of(node) in self._coroutines.marked

    def _waits(self, node: cst.CSTNode) -> bool:
        return (
            self._is_marked(node)
            and self._coroutines.is_awaitable(self._source, node)
            and not self._coroutines.is_handed_on(self._source, node)
        )

    def _awaited(self, original: Expression, updated: Expression) -> Expression | cst.Await:
        if not self._waits(original):
            return updated
        lpar, rpar = updated.lpar, updated.rpar
        parent = self._source.parents[original]
        if not lpar and (
            (isinstance(parent, cst.Attribute | cst.Subscript) and parent.value is original)
            or (isinstance(parent, cst.Call) and parent.func is original)
        ):
            lpar, rpar = [cst.LeftParen()], [cst.RightParen()]
        return cst.Await(updated.with_changes(lpar=(), rpar=()), lpar=lpar, rpar=rpar)

    def visit_Name(self, node: cst.Name) -> None:
        if not isinstance(self._source.parents.get(node), cst.ImportAlias):
            self.uses[node.value] = self.uses.get(node.value, 0) + 1

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.Attribute | cst.Await:
        name = original_node.attr.value
        if name in _UNITTEST:
            kind = self._inference.kind(self._source, original_node)
            if isinstance(kind, Function) and kind in self._coroutines.marked:
                updated_node = updated_node.with_changes(attr=cst.Name(_UNITTEST[name]))
        return self._awaited(original_node, updated_node)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call | cst.Await:
        return self._awaited(original_node, updated_node)

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.With:
        if original_node.asynchronous is not None or not self._is_marked(original_node):
            return updated_node
        flags = [
            self._coroutines.is_async_context(self._source, item.item)
            for item in original_node.items
        ]
        if not any(flags):
            return updated_node
        if all(flags):
            return updated_node.with_changes(asynchronous=cst.Asynchronous())
        return _nested(updated_node, flags)

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.For:
        if original_node.asynchronous is None and self._iterates(original_node):
            return updated_node.with_changes(asynchronous=cst.Asynchronous())
        return updated_node

    def leave_CompFor(self, original_node: cst.CompFor, updated_node: cst.CompFor) -> cst.CompFor:
        if original_node.asynchronous is None and self._iterates(original_node):
            return updated_node.with_changes(asynchronous=cst.Asynchronous())
        return updated_node

    def _iterates(self, node: cst.For | cst.CompFor) -> bool:
        return self._is_marked(node) and self._coroutines.is_async_iterable(self._source, node.iter)

    def leave_GeneratorExp(
        self, original_node: cst.GeneratorExp, updated_node: cst.GeneratorExp
    ) -> cst.GeneratorExp | cst.ListComp:
        """A generator that awaits is an asynchronous one, which any(), sum() ... do not take."""
        first = original_node.for_in.iter
        if not any(self._waits(node) for node in _inside(original_node, without=first)):
            return updated_node
        return cst.ListComp(updated_node.elt, updated_node.for_in)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.For:
        """``yield from`` is not allowed in an asynchronous generator."""
        match original_node.body, updated_node.body:
            case (
                [cst.Expr(value=cst.Yield(value=cst.From(item=original)))],
                [cst.Expr(value=cst.Yield(value=cst.From(item=iterated)))],
            ) if self._is_marked(original_node):
                again = self._coroutines.is_async_iterable(self._source, original)
                item = cst.Name("item")
                body = cst.SimpleStatementLine([cst.Expr(cst.Yield(item))])
                return cst.For(
                    item,
                    iterated,
                    cst.IndentedBlock([body], header=updated_node.trailing_whitespace),
                    asynchronous=cst.Asynchronous() if again else None,
                    leading_lines=updated_node.leading_lines,
                )
        return updated_node

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef:
        function = self._source.functions[original_node]
        if function not in self._coroutines.marked or function.is_async:
            return updated_node
        name, owner = function.name, function.owner
        if name in _UNITTEST and owner and self._inference.library_base(owner) == "testcase":
            updated_node = updated_node.with_changes(name=cst.Name(_UNITTEST[name]))
        if function.is_generator and updated_node.returns is not None:
            updated_node = updated_node.with_changes(returns=self._iterator(updated_node.returns))
        decorators = [
            self._decorator(original, updated)
            for original, updated in zip(
                original_node.decorators, updated_node.decorators, strict=True
            )
        ]
        return updated_node.with_changes(asynchronous=cst.Asynchronous(), decorators=decorators)

    def _decorator(self, original: cst.Decorator, updated: cst.Decorator) -> cst.Decorator:
        kind = self._inference.kind(self._source, original.decorator)
        new = CONTEXT_MANAGERS.get(kind) if isinstance(kind, str) else None
        if new is None:
            return updated
        return updated.with_changes(decorator=self._renamed(updated.decorator, "contextlib", new))

    def _renamed(self, node: cst.BaseExpression, source: str, new: str) -> cst.BaseExpression:
        if isinstance(node, cst.Attribute):
            return node.with_changes(attr=cst.Name(new))
        assert isinstance(node, cst.Name)
        self.renamed[source, node.value] = new
        self.replaced[node.value] = self.replaced.get(node.value, 0) + 1
        return cst.Name(new)

    def _iterator(self, annotation: cst.Annotation) -> cst.Annotation:
        kind = annotation.annotation
        if isinstance(kind, cst.Subscript) and isinstance(kind.value, cst.Name):
            new = _ITERATORS.get(kind.value.value)
            source = self._source.bindings.get(kind.value.value)
            if new is not None and source and source[0].how == "import":
                where = str(source[0].what).rpartition(".")[0]
                kind = kind.with_changes(value=self._renamed(kind.value, where, new))
                if new == "AsyncGenerator":  # it has no return type
                    kind = kind.with_changes(slice=_without_return(kind.slice))
        return annotation.with_changes(annotation=kind)

    def leave_ClassDef(
        self, original_node: cst.ClassDef, updated_node: cst.ClassDef
    ) -> cst.ClassDef:
        asynchronous = any(
            function.owner is not None and function.owner.node is original_node
            for function in self._coroutines.marked
        )
        if not asynchronous:
            return updated_node
        bases = []
        for original, base in zip(original_node.bases, updated_node.bases, strict=True):
            kind = self._inference.kind(self._source, original.value)
            if kind == "unittest.TestCase":
                base = base.with_changes(
                    value=self._renamed(base.value, "unittest", _ASYNC_TESTCASE)
                )
            bases.append(base)
        return updated_node.with_changes(bases=bases)


def _without_return(slices: object) -> object:
    assert isinstance(slices, list | tuple)
    if len(slices) != 3:
        return slices
    return [slices[0], slices[1].with_changes(comma=cst.MaybeSentinel.DEFAULT)]


def _inside(node: cst.CSTNode, without: cst.CSTNode) -> list[cst.CSTNode]:
    found: list[cst.CSTNode] = []
    for _, child in children(node):
        if child is not without:
            found += [child, *_inside(child, without)]
    return found


def _nested(statement: cst.With, flags: list[bool]) -> cst.With:
    """One statement for each run of items that are entered alike."""
    runs: list[tuple[bool, list[cst.WithItem]]] = []
    for flag, item in zip(flags, statement.items, strict=True):
        if not runs or runs[-1][0] != flag:
            runs.append((flag, []))
        runs[-1][1].append(item)
    body = statement.body
    made = statement
    for flag, items in reversed(runs):
        items[-1] = items[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        made = cst.With(items, body, asynchronous=cst.Asynchronous() if flag else None)
        body = cst.IndentedBlock([made])
    return made.with_changes(leading_lines=statement.leading_lines, lpar=cst.MaybeSentinel.DEFAULT)
