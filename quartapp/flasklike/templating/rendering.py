"""Rendering templates with the context of the current application.

Templates are rendered synchronously, as on Flask, in a greenlet: what a template meets can be
awaited (see `environment`), and costs nothing where nothing is. An asynchronous environment awaits
every expression, which is most of the cost of a page. An application that sets
``jinja_options["enable_async"]`` gets one nevertheless.
"""

from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from jinja2 import Template as JinjaTemplate
from quart import current_app, has_request_context
from quart.signals import before_render_template, template_rendered

from quartapp.flasklike._upstream import cv_app, cv_request
from quartapp.flasklike.concurrency.awaiting import can_wait, driven, local
from quartapp.flasklike.concurrency.threads import also_sync, iterate_in_thread
from quartapp.flasklike.ctx import stream_with_context
from quartapp.flasklike.signals import send_signal
from quartapp.flasklike.templating.environment import Template
from quartapp.flasklike.templating.values import are_plain, await_variables

if TYPE_CHECKING:
    from quartapp.flasklike.app import App


T = TypeVar("T")
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
def render_template(
    template_name_or_list: TemplateName, **context: Any
) -> Coroutine[Any, Any, str]:
    """Render a template of the current application; of a list, the first that exists.

    Raises jinja2.TemplateNotFound before any context processor has run.
    """
    return _render(_select, template_name_or_list, context, in_thread=_in_thread())


@also_sync
def render_template_string(source: str, **context: Any) -> Coroutine[Any, Any, str]:
    """Render *source* with the context of a template of the current application."""
    return _render(_from_source, source, context, in_thread=_in_thread())


@also_sync
def stream_template(
    template_name_or_list: TemplateName, **context: Any
) -> Coroutine[Any, Any, AsyncIterator[str]]:
    """Like `render_template`, but return the parts, which are rendered while they are sent.

    They are rendered in the request's context.
    """
    return _stream(_select, template_name_or_list, context, in_thread=_in_thread())


@also_sync
def stream_template_string(source: str, **context: Any) -> Coroutine[Any, Any, AsyncIterator[str]]:
    """Like `render_template_string`, but return the parts, as `stream_template` does."""
    return _stream(_from_source, source, context, in_thread=_in_thread())


def _in_thread() -> bool:
    """Whether the caller is a synchronous function in the thread of a request.

    It may hand over what belongs to its thread, such as a cursor of sqlite3 or an object that a
    session loads: its template is rendered in that thread.
    """
    return local.bridge is not None and can_wait()


def _select(app: "App", template_name_or_list: TemplateName) -> JinjaTemplate:
    return app.jinja_env.get_or_select_template(template_name_or_list)


def _from_source(app: "App", source: str) -> JinjaTemplate:
    return app.jinja_env.from_string(source)


def _current_app() -> "App":
    app: App = current_app._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy
    return app


async def _render(find: Any, source: Any, context: dict[str, Any], *, in_thread: bool) -> str:
    app = _current_app()
    template = find(app, source)
    await _prepare(app, template, context)
    if in_thread and _belongs_in_thread(app, template):
        text: str = await app.sync_to_async(template.render)(context)
    elif isinstance(template, Template) or template.environment.is_async:
        text = await template.render_async(context)
    else:  # of another environment
        text = template.render(context)
    await send_signal(template_rendered, app, template=template, context=context)
    return text


async def _stream(
    find: Any, source: Any, context: dict[str, Any], *, in_thread: bool
) -> AsyncIterator[str]:
    app = _current_app()
    template = find(app, source)
    await _prepare(app, template, context)

    async def generate() -> AsyncIterator[str]:
        if in_thread and _belongs_in_thread(app, template):
            parts: Any = iterate_in_thread(template.generate(context))
        elif isinstance(template, Template) or template.environment.is_async:
            parts = template.generate_async(context)
        else:
            parts = _as_asynchronous(template.generate(context))
        async with aclosing(parts):
            async for part in parts:
                yield part
        await send_signal(template_rendered, app, template=template, context=context)

    parts = generate()
    return stream_with_context(parts) if has_request_context() else parts


def _belongs_in_thread(app: "App", template: JinjaTemplate) -> bool:
    """Whether *template* may use more than its variables: load, iterate, call.

    SQLAlchemy's asynchronous sessions, where they may load (TEMPLATES_LAZY_LOADING), do it in the
    task.
    """
    environment: Any = app.jinja_env
    if template.environment.is_async or environment.lazy_loads:
        return False
    return not isinstance(template, Template) or template.may_await


async def _as_asynchronous(parts: Iterator[str]) -> AsyncIterator[str]:
    for part in parts:
        yield part


async def _prepare(app: "App", template: JinjaTemplate, context: dict[str, Any]) -> None:
    """Complete *context*, and send the signal: its receivers see no awaitable either."""
    await app.update_template_context(context)
    if not are_plain(context):
        await driven(await_variables, context, template.name)
    await send_signal(before_render_template, app, template=template, context=context)
