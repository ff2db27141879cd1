"""One error, two forms: a page for people, problem+json (RFC 9457) for programs."""

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from jinja2 import TemplatesNotFound
from markupsafe import Markup
from quart import Response, current_app, has_request_context, request
from quart.globals import request_ctx

from quartapp.errors.plain import notes
from quartapp.errors.site import Site, current_site
from quartapp.errors.texts import ClientError, describe, phrase_of
from quartapp.flasklike import render_template

PROBLEM_JSON = "application/problem+json"


def wants_json() -> bool:
    """Whether the client wants JSON: the path belongs to the API, or it prefers JSON to HTML.

    Always true for a WebSocket.
    """
    if not has_request_context():
        return True
    if current_site().is_api(request.path):
        return True
    if request.headers.get("Accept", "").startswith("text/html,"):
        return False  # browsers send this; nothing is preferred to it, and parsing takes longer
    accept = request.accept_mimetypes
    best = accept.best_match(["text/html", "application/json", PROBLEM_JSON], "text/html")
    return best != "text/html" and accept[best] > accept["text/html"]


async def respond(error: ClientError, *, plain: bool = False) -> Response:
    """The response for an error, as a page or as problem+json. Raises nothing.

    The response to a recorded 5xx contains the reference by which the operator finds the report.
    With `plain` no template is rendered, which saves most of the time.
    """
    site = current_site()
    reporting = site.reporting
    is_recorded = reporting is not None and reporting.has_reference(error.status)
    reference = site.reference() if is_recorded else None
    if wants_json():
        return _finish(problem(error, reference), PROBLEM_JSON, error)
    page = None if plain else await _page(site, error, reference)
    if page is not None:
        return _finish(page, "text/html; charset=utf-8", error)
    response = _finish(_plain_page(site, error, reference), "text/html; charset=utf-8", error)
    if not site.page.stylesheets:
        response.headers.setdefault("Content-Security-Policy", site.page.policy)
    return response


def problem(error: ClientError, reference: str | None = None) -> str:
    """The error as problem+json."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": _title(error),
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
    }
    if reference:
        body["reference"] = reference
    return json.dumps(body | dict(error.extensions))


def _title(error: ClientError) -> str:
    """HTTP's name of the status, as RFC 9457 has it, unless the application has its own title."""
    is_own = error.title != describe(error.status).title
    return error.title if is_own else phrase_of(error.status)


async def _page(site: Site, error: ClientError, reference: str | None) -> str | None:
    """The page of the application's template; None if it has none, or if that fails."""
    if _is_host_refused():
        return None
    try:
        template = _find_template(site, error.status)
        if template is None:
            return None
        box = Markup(site.feedback(reference, request.root_path))
        return await render_template(template, error=error, reference=reference, feedback=box)
    except Exception:  # noqa: BLE001 the client needs a response whatever fails
        current_app.logger.exception("The page of an error could not be rendered")
        return None


def _find_template(site: Site, status: int) -> Any:
    """The template of a status, or None. Where templates are not reloaded it is searched once: to
    find that there is none costs more than the plain page.
    """
    environment = current_app.jinja_env
    names = site.templates.get(status, (f"errors/{status}.html", "errors/error.html"))
    try:
        template: Any = environment.select_template(names)
    except TemplatesNotFound:
        template, names = None, ()
    else:
        names = (template.name,)
    if not environment.auto_reload:
        site.templates[status] = names
    return template


def _is_host_refused() -> bool:
    """Whether the Host is untrusted or invalid, so that no URL can be built."""
    return has_request_context() and request_ctx.url_adapter is None


def _plain_page(site: Site, error: ClientError, reference: str | None) -> str:
    root = request.root_path
    more = f"{notes(error, reference)}{site.feedback(reference, root)}"
    more += f'<p><a href="{escape(root)}/">Start page</a></p>'
    return site.page.render(error.title, error.detail, more, root)


def _finish(body: str, content_type: str, error: ClientError) -> Response:
    response = Response(body, status=error.status, content_type=content_type)
    response.headers.extend(_without_content(error.headers))
    response.headers.setdefault("Vary", "Accept")
    return response


def _without_content(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if not name.lower().startswith("content-")]
