"""One error, two forms: a page for people, problem+json (RFC 9457) for programs."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from http import HTTPStatus

from quart import Response, current_app, has_request_context, request
from quart.globals import request_ctx

from quartapp.errors.plain import PlainPage
from quartapp.flasklike import render_template
from quartapp.reporting import error_reference, has_reference

PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ClientError:
    """What a client learns about an error. All its texts are safe to show to anybody.

    `code` is stable; `title` is a heading; `detail` says what happened and what to do.
    """

    status: int
    code: str
    title: str
    detail: str
    headers: tuple[tuple[str, str], ...] = ()
    extensions: tuple[tuple[str, object], ...] = ()


# Texts for the users of a site; werkzeug's descriptions are for developers.
_DETAILS = {
    400: "Your browser sent something that this server could not understand.",
    401: "Please log in to see this page.",
    403: "You are not allowed to see this page.",
    404: "There is no such page here. It may have moved, or the address may be mistyped.",
    408: "What you sent did not arrive in time. Please try again.",
    405: "This address does not take this kind of request.",
    413: "What you sent is larger than this server accepts.",
    415: "What you sent is of a kind that this address does not take.",
    429: "You are sending requests faster than this server takes them. Please wait a little.",
    500: "The error has been recorded. Sorry for the inconvenience!",
    502: "A server that this page depends on gave no proper answer. Please try again.",
    503: "The server is busy right now. Please try again in a moment.",
    504: "A server that this page depends on did not answer in time. Please try again.",
}

# RFC 9110's phrases, where Python's depend on its version; the codes are derived from them.
_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}

_TITLES = {404: "Not Found", 500: "An unexpected error has occurred"}


def describe(status: int, detail: str | None = None, **more: object) -> ClientError:
    """A ClientError with the default texts of a status; `more` replaces fields."""
    phrase = _phrase(status)
    values: dict[str, object] = {
        "status": status,
        "code": phrase.lower().replace(" ", "-").replace("'", ""),
        "title": _TITLES.get(status, phrase),
        "detail": detail or _DETAILS.get(status) or f"The server answered: {phrase}.",
    }
    return ClientError(**(values | more))  # type: ignore[arg-type]  # the fields, by name


def wants_json() -> bool:
    """Whether the client wants JSON: the path belongs to the API, or it prefers JSON to HTML.

    Always true for a WebSocket.
    """
    if not has_request_context():
        return True
    if is_api(request.path):
        return True
    accept = request.accept_mimetypes
    best = accept.best_match(["text/html", "application/json", PROBLEM_JSON], "text/html")
    return best != "text/html" and accept[best] > accept["text/html"]


def is_api(path: str) -> bool:
    """Whether the path belongs to the API: /api and everything below it."""
    return path == "/api" or path.startswith("/api/")


async def respond(error: ClientError, *, plain: bool = False) -> Response:
    """The response for an error, as a page or as problem+json. Raises nothing.

    The response to a recorded 5xx contains the reference by which the operator finds the report.
    With `plain` no template is rendered, which saves most of the time.
    """
    reference = error_reference() if has_reference(error.status) else None
    if wants_json():
        return _finish(problem(error, reference), PROBLEM_JSON, error)
    page = _plain_page(error, reference) if plain else await _page(error, reference)
    return _finish(page, "text/html; charset=utf-8", error)


def problem(error: ClientError, reference: str | None = None) -> str:
    """The error as problem+json."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": _phrase(error.status),
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
    }
    if reference:
        body["reference"] = reference
    return json.dumps(body | dict(error.extensions))


async def _page(error: ClientError, reference: str | None) -> str:
    if _is_host_refused():
        return _plain_page(error, reference)
    try:
        return await render_template(_template(error.status), error=error, reference=reference)
    except Exception:  # noqa: BLE001 the client needs a response whatever fails
        current_app.logger.exception("The page of an error could not be rendered")
        return _plain_page(error, reference)


def _is_host_refused() -> bool:
    """Whether the Host is untrusted or invalid, so that no URL can be built."""
    return has_request_context() and request_ctx.url_adapter is None


def _template(status: int) -> str:
    return f"errors/{status}.html" if status in {404, 500} else "errors/error.html"


def _plain_page(error: ClientError, reference: str | None) -> str:
    note = (
        f'<p>Reference: <strong class="reference">{escape(reference)}</strong></p>'
        if reference
        else ""
    )
    page: PlainPage = current_app.extensions["errors"]
    root = request.root_path
    more = f'{note}<p><a href="{escape(root)}/">Start page</a></p>'
    return page.render(error.title, error.detail, more, root)


def _finish(body: str, content_type: str, error: ClientError) -> Response:
    response = Response(body, status=error.status, content_type=content_type)
    response.headers.extend(_without_content(error.headers))
    response.headers.setdefault("Vary", "Accept")
    return response


def _without_content(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if not name.lower().startswith("content-")]


def _phrase(status: int) -> str:
    if status in _PHRASES:
        return _PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
