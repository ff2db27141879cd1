"""The environment of templates: Flask's, with less work for each value that a page shows."""

from collections import ChainMap
from collections.abc import Iterator, KeysView, MutableMapping
from typing import Any

from flask.templating import Environment as FlaskEnvironment
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from markupsafe import _escape_inner, escape  # type: ignore[attr-defined]  # it is in both builds


def show(value: Any) -> str:
    """What `markupsafe.escape` gives, as a plain string: it is joined to others at once."""
    shown: str = _escape_inner(value) if type(value) is str else escape(value)
    return shown


class ShowingCodeGenerator(CodeGenerator):
    """Writes `show` where Jinja writes `escape` around a value that is put out."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape:
            super()._output_child_pre(node, frame, finalize)
            return
        self.write("environment.show(")
        if finalize.src is not None:
            self.write(finalize.src)


class Globals(ChainMap[str, Any]):
    """Jinja's: the template's own before the environment's, which is all of them as a rule."""

    def keys(self) -> KeysView[str]:
        own, shared = self.maps
        return super().keys() if own else shared.keys()

    def __iter__(self) -> Iterator[str]:
        own, shared = self.maps
        return super().__iter__() if own else iter(shared)


class Environment(FlaskEnvironment):
    """Flask's environment."""

    code_generator_class = ShowingCodeGenerator
    show = staticmethod(show)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """The globals of a template; changes of the environment's still show in them."""
        return Globals({} if d is None else d, self.globals)
