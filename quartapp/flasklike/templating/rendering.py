"""Rendering templates with the context of the current application.

Templates are rendered synchronously, as on Flask, in a greenlet: what a template meets can be
awaited (see `environment`), and costs nothing where nothing is. An asynchronous environment awaits
every expression, which is most of the cost of a page. An application that sets
``jinja_options["enable_async"]`` gets one nevertheless.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from jinja2 import Template as JinjaTemplate
from quart import current_app, has_request_context
from quart.signals import before_render_template, template_rendered

from quartapp.flasklike._upstream import cv_app, cv_request
from quartapp.flasklike.concurrency.awaiting import driven
from quartapp.flasklike.concurrency.threads import also_sync
from quartapp.flasklike.ctx import stream_with_context
from quartapp.flasklike.signals import send_signal
from quartapp.flasklike.templating.environment import Template
from quartapp.flasklike.templating.values import are_plain, await_variables

if TYPE_CHECKING:
    from quartapp.flasklike.app import App


TemplateName = str | JinjaTemplate | list[str | JinjaTemplate]


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


@also_sync
async def render_template(template_name_or_list: TemplateName, **context: Any) -> str:
    """Render a template of the current application; of a list, the first that exists.

    Raises jinja2.TemplateNotFound before any context processor has run.
    """
    app = _current_app()
    template = app.jinja_env.get_or_select_template(template_name_or_list)
    return await _render(app, template, context)


@also_sync
async def render_template_string(source: str, **context: Any) -> str:
    """Render *source* with the context of a template of the current application."""
    app = _current_app()
    return await _render(app, app.jinja_env.from_string(source), context)


@also_sync
async def stream_template(
    template_name_or_list: TemplateName, **context: Any
) -> AsyncIterator[str]:
    """Like `render_template`, but return the parts, which are rendered while they are sent.

    They are rendered in the request's context.
    """
    app = _current_app()
    template = app.jinja_env.get_or_select_template(template_name_or_list)
    return await _stream(app, template, context)


@also_sync
async def stream_template_string(source: str, **context: Any) -> AsyncIterator[str]:
    """Like `render_template_string`, but return the parts, as `stream_template` does."""
    app = _current_app()
    return await _stream(app, app.jinja_env.from_string(source), context)


def _current_app() -> "App":
    app: App = current_app._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy
    return app


async def _render(app: "App", template: JinjaTemplate, context: dict[str, Any]) -> str:
    await _prepare(app, template, context)
    if isinstance(template, Template) or template.environment.is_async:
        text = await template.render_async(context)
    else:  # of another environment
        text = template.render(context)
    await send_signal(template_rendered, app, template=template, context=context)
    return text


async def _stream(
    app: "App", template: JinjaTemplate, context: dict[str, Any]
) -> AsyncIterator[str]:
    await _prepare(app, template, context)

    async def generate() -> AsyncIterator[str]:
        if isinstance(template, Template) or template.environment.is_async:
            async with aclosing(template.generate_async(context)) as parts:
                async for part in parts:
                    yield part
        else:
            for part in template.generate(context):
                yield part
        await send_signal(template_rendered, app, template=template, context=context)

    parts = generate()
    return stream_with_context(parts) if has_request_context() else parts


async def _prepare(app: "App", template: JinjaTemplate, context: dict[str, Any]) -> None:
    """Complete *context*, and send the signal: its receivers see no awaitable either."""
    await app.update_template_context(context)
    if not are_plain(context):
        await driven(await_variables, context, template.name)
    await send_signal(before_render_template, app, template=template, context=context)
