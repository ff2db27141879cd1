"""The environment of templates: Flask's, synchronous, but it awaits what it meets."""

from collections import ChainMap
from collections.abc import Iterator, KeysView, Mapping, MutableMapping
from types import FunctionType, MethodType
from typing import Any

from flask.templating import DispatchingJinjaLoader
from flask.templating import Environment as FlaskEnvironment
from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateRuntimeError
from jinja2.runtime import Context as JinjaContext
from jinja2.runtime import Macro
from jinja2.utils import internalcode

from quartapp.flasklike._upstream import cv_request, escape_inner, flask_request_variable
from quartapp.flasklike.concurrency.awaiting import driven, stepped
from quartapp.flasklike.templating.compiler import AwaitingCodeGenerator
from quartapp.flasklike.templating.values import (
    are_plain,
    await_variables,
    awaited,
    contents,
    iterated,
    named,
    plain,
    show,
    unpacked,
    unpacked_mapping,
)


class Globals(ChainMap[str, Any]):
    """The globals of a template, then the environment's; usually a template has none."""

    def keys(self) -> KeysView[str]:
        own, shared = self.maps
        return super().keys() if own else shared.keys()

    def __iter__(self) -> Iterator[str]:
        own, shared = self.maps
        return super().__iter__() if own else iter(shared)


class Context(JinjaContext):
    """Awaits what templates call."""

    @internalcode
    def call(self, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call *obj* as Jinja does, for the most frequent kinds of callables in fewer steps."""
        kind = type(obj)
        if kind is Macro:
            kwargs.pop("_loop_vars", None)
            kwargs.pop("_block_vars", None)
            return obj(self.eval_ctx, *args, **kwargs)
        if (kind is MethodType or kind is FunctionType) and not hasattr(obj, "jinja_pass_arg"):
            kwargs.pop("_loop_vars", None)
            kwargs.pop("_block_vars", None)
            try:
                value = obj(*args, **kwargs)
            except StopIteration:
                value = self.environment.undefined(
                    "value was undefined because a callable raised a StopIteration exception"
                )
        else:
            value = super().call(obj, *args, **kwargs)
        return value if type(value) in plain or self.environment.is_async else awaited(value)


class Template(JinjaTemplate):
    """A template whose coroutines render it in the task that awaits them.

    `render` and `generate` work outside a task too, unless the template meets an awaitable.
    """

    environment: "Environment"
    may_await: bool

    @classmethod
    def _from_namespace(
        cls, environment: Any, namespace: MutableMapping[str, Any], globals: Any
    ) -> "Template":
        template: Any = super()._from_namespace(environment, namespace, globals)
        if "may_await" not in namespace:
            raise TemplateRuntimeError(
                f"{named(template.name)} was compiled by another environment, as by Flask, and"
                " awaits nothing: delete the files of the byte code cache, or compile it again."
            )
        template.may_await = namespace["may_await"]
        return template  # type: ignore[no-any-return]

    def new_context(
        self,
        vars: dict[str, Any] | None = None,
        shared: bool = False,
        locals: Mapping[str, Any] | None = None,
    ) -> JinjaContext:
        """A context with *vars* and the globals. Those of them that are awaitable are awaited."""
        if shared:  # with a template whose variables these are
            return super().new_context(vars, shared, locals)
        context = super().new_context(vars, False, locals) if locals else self._made(vars or {})
        self._await_variables(context)
        return context

    def _made(self, variables: dict[str, Any]) -> JinjaContext:
        """The context that Jinja makes of *variables*, made faster."""
        globals_: Any = self.globals
        if type(globals_) is Globals:
            own, common = globals_.maps
            parent = {**common, **own, **variables} if own else {**common, **variables}
        else:
            parent = {**globals_, **variables}
        environment = self.environment
        return environment.context_class(environment, parent, self.name, self.blocks, globals_)

    def _await_variables(self, context: JinjaContext) -> None:
        if not (are_plain(context.parent) or self.environment.is_async):
            await_variables(context.parent, self.name)

    def render(self, *args: Any, **kwargs: Any) -> str:
        """The text. *args* and *kwargs* make a dictionary of the variables."""
        if self.environment.is_async:
            return super().render(*args, **kwargs)
        return self._text(self._made(dict(*args, **kwargs)))

    async def render_async(self, *args: Any, **kwargs: Any) -> str:
        """As `render`, but all that the template meets can be awaited."""
        if self.environment.is_async:
            return await super().render_async(*args, **kwargs)
        context = self._made(dict(*args, **kwargs))
        if not self.may_await and are_plain(context.parent):
            return self._text(context)
        return await driven(self._text, context, lazy_loads=self.environment.lazy_loads)

    def _text(self, context: JinjaContext) -> str:
        try:
            self._await_variables(context)
            text: str = self.environment.concat(self.root_render_func(context))
        except Exception:
            self.environment.handle_exception()
        return text

    def generate_async(self, *args: Any, **kwargs: Any) -> Any:
        """As `generate`, but an asynchronous iterator, and all can be awaited."""
        if self.environment.is_async:
            return super().generate_async(*args, **kwargs)
        parts: Any = self.generate(*args, **kwargs)
        return stepped(parts, lazy_loads=self.environment.lazy_loads)


class Environment(FlaskEnvironment):
    """Flask's environment; the code of its templates calls what is defined here."""

    code_generator_class = AwaitingCodeGenerator
    context_class = Context
    template_class = Template

    lazy_loads = False
    """Whether SQLAlchemy's asynchronous sessions may load what a template reads first."""

    awaited = staticmethod(awaited)
    contents = staticmethod(contents)
    iterated = staticmethod(iterated)
    show = staticmethod(show)
    unpacked = staticmethod(unpacked)
    unpacked_mapping = staticmethod(unpacked_mapping)

    @internalcode
    def attr(self, obj: Any, attribute: str) -> Any:
        """An attribute or an item, not awaited. Without any, *obj* is awaited if it can be."""
        try:
            return getattr(obj, attribute)
        except AttributeError:
            return self.item(obj, attribute)

    @internalcode
    def item(self, obj: Any, attribute: str) -> Any:
        """What `attr` returns if *obj* has no such attribute."""
        kind = type(obj)
        if kind not in plain and hasattr(kind, "__await__") and not self.is_async:
            return self.attr(awaited(obj), attribute)
        try:
            return obj[attribute]
        except (TypeError, LookupError, AttributeError):
            return self.undefined(obj=obj, name=attribute)

    @internalcode
    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute or an item, awaited."""
        try:
            value = getattr(obj, attribute)
        except AttributeError:
            found = type(obj) is dict and attribute in obj
            value = obj[attribute] if found else self.item(obj, attribute)
        return value if type(value) in plain or self.is_async else awaited(value)

    @internalcode
    def show_attr(self, obj: Any, attribute: str) -> str:
        """`show` of an attribute or an item: the most frequent expression, in one call."""
        try:
            value = getattr(obj, attribute)
        except AttributeError:
            found = type(obj) is dict and attribute in obj
            value = obj[attribute] if found else self.item(obj, attribute)
        if type(value) is str:
            escaped: str = escape_inner(value)
            return escaped
        return show(value)

    @internalcode
    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item or an attribute, awaited."""
        try:
            value = obj[argument]
        except (AttributeError, TypeError, LookupError):
            value = self.attr_of_item(obj, argument)
        return value if type(value) in plain or self.is_async else awaited(value)

    def attr_of_item(self, obj: Any, argument: Any) -> Any:
        """What `getitem` returns if *obj* has no such item."""
        if isinstance(argument, str):
            try:
                return getattr(obj, argument)
            except AttributeError:
                pass
        return self.undefined(obj=obj, name=argument)

    @internalcode
    def show_item(self, obj: Any, argument: Any) -> str:
        """`show` of an item or an attribute."""
        try:
            value = obj[argument]
        except (AttributeError, TypeError, LookupError):
            value = self.attr_of_item(obj, argument)
        if type(value) is str:
            escaped: str = escape_inner(value)
            return escaped
        return show(value)

    def call_filter(self, *args: Any, **kwargs: Any) -> Any:
        """What a filter returns, awaited: filters such as `map` call others so."""
        value = super().call_filter(*args, **kwargs)
        return value if self.is_async else awaited(value)

    def call_test(self, *args: Any, **kwargs: Any) -> Any:
        """What a test returns, awaited: filters such as `select` call tests so."""
        value = super().call_test(*args, **kwargs)
        return value if self.is_async else awaited(value)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """The globals of a template. Later changes of the environment's are seen through them."""
        return Globals({} if d is None else d, self.globals)


class Loader(DispatchingJinjaLoader):
    """Flask's loader; with EXPLAIN_TEMPLATE_LOADING it also names the blueprint of the request."""

    def _get_source_explained(self, environment: Any, template: str) -> Any:
        context: Any = cv_request.get(None)
        if context is None:
            return super()._get_source_explained(environment, template)
        variable = flask_request_variable()
        token = variable.set(context)  # Flask asks its own context for the request
        try:
            return super()._get_source_explained(environment, template)
        finally:
            variable.reset(token)
