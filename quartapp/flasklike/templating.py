"""Templates, rendered synchronously as on Flask, in Flask's environment.

An asynchronous environment awaits every expression, which is most of the cost of a page. What a
template shows is therefore loaded before it is rendered. An application that sets
``jinja_options["enable_async"]`` is rendered asynchronously nevertheless.
"""

from collections import ChainMap
from collections.abc import AsyncIterator, Iterator, KeysView, MutableMapping
from typing import TYPE_CHECKING, Any

from flask.templating import DispatchingJinjaLoader
from flask.templating import Environment as FlaskEnvironment
from jinja2 import Template, nodes
from jinja2.compiler import CodeGenerator, Frame
from markupsafe import escape
from quart import current_app, has_request_context
from quart.signals import before_render_template, template_rendered

from quartapp.flasklike._upstream import (
    cv_app,
    cv_request,
    escape_inner,
    flask_request_variable,
)
from quartapp.flasklike.ctx import stream_with_context
from quartapp.flasklike.signals import send_signal

if TYPE_CHECKING:
    from quartapp.flasklike.app import App


def escape_to_str(value: Any) -> str:
    """What `markupsafe.escape` returns, but a str is not made a Markup: it is joined at once."""
    escaped: str = escape_inner(value) if type(value) is str else escape(value)
    return escaped


class EscapingCodeGenerator(CodeGenerator):
    """Writes `escape_to_str` where Jinja writes `escape`, around each value of the output."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape:
            super()._output_child_pre(node, frame, finalize)
            return
        self.write("environment.escape_to_str(")
        if finalize.src is not None:
            self.write(finalize.src)


class Globals(ChainMap[str, Any]):
    """The globals of a template, then the environment's; usually a template has none."""

    def keys(self) -> KeysView[str]:
        own, shared = self.maps
        return super().keys() if own else shared.keys()

    def __iter__(self) -> Iterator[str]:
        own, shared = self.maps
        return super().__iter__() if own else iter(shared)


class Environment(FlaskEnvironment):
    """Flask's environment, with less work for each value and each template."""

    code_generator_class = EscapingCodeGenerator
    escape_to_str = staticmethod(escape_to_str)

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


TemplateName = str | Template | list[str | Template]


def default_context() -> dict[str, Any]:
    """`g` and `request` themselves instead of their proxies.

    The session stays a proxy: when a template reads it, that counts as an access, and the answer
    varies by cookie.
    """
    context: dict[str, Any] = {}
    app_context = cv_app.get(None)
    if app_context is not None:
        context["g"] = app_context.g
    request_context = cv_request.get(None)
    if request_context is not None:
        context["request"] = request_context.request
    return context


async def render_template(template_name_or_list: TemplateName, **context: Any) -> str:
    """Render a template of the current application; of a list, the first that exists.

    Raises jinja2.TemplateNotFound before any context processor has run.
    """
    app = _current_app()
    template = app.jinja_env.get_or_select_template(template_name_or_list)
    return await _render(app, template, context)


async def render_template_string(source: str, **context: Any) -> str:
    """Render *source* with the context of a template of the current application."""
    app = _current_app()
    return await _render(app, app.jinja_env.from_string(source), context)


async def stream_template(
    template_name_or_list: TemplateName, **context: Any
) -> AsyncIterator[str]:
    """Like `render_template`, but return the parts, which are rendered while they are sent.

    They are rendered in the request's context.
    """
    app = _current_app()
    template = app.jinja_env.get_or_select_template(template_name_or_list)
    return await _stream(app, template, context)


async def stream_template_string(source: str, **context: Any) -> AsyncIterator[str]:
    """Like `render_template_string`, but return the parts, as `stream_template` does."""
    app = _current_app()
    return await _stream(app, app.jinja_env.from_string(source), context)


def _current_app() -> "App":
    app: App = current_app._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy
    return app


async def _render(app: "App", template: Template, context: dict[str, Any]) -> str:
    await app.update_template_context(context)
    await send_signal(before_render_template, app, template=template, context=context)
    if template.environment.is_async:
        text = await template.render_async(context)
    else:
        text = template.render(context)
    await send_signal(template_rendered, app, template=template, context=context)
    return text


async def _stream(app: "App", template: Template, context: dict[str, Any]) -> AsyncIterator[str]:
    await app.update_template_context(context)
    await send_signal(before_render_template, app, template=template, context=context)

    async def generate() -> AsyncIterator[str]:
        if template.environment.is_async:
            async for part in template.generate_async(context):
                yield part
        else:
            for part in template.generate(context):
                yield part
        await send_signal(template_rendered, app, template=template, context=context)

    parts = generate()
    return stream_with_context(parts) if has_request_context() else parts
