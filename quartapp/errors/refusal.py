"""Answering a request before the application has seen it, or after its context has ended."""

from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from quartapp.errors.plain import notes
from quartapp.errors.responses import problem
from quartapp.errors.site import Site
from quartapp.errors.texts import ClientError
from quartapp.flasklike import Response
from quartapp.flasklike.asgi.scope import CLOSE, closes_connection, path_of


async def refuse(
    scope: Any,
    send: Any,
    error: ClientError,
    site: Site,
    more: str = "",
    reference: str | None = None,
    *,
    has_read: bool = False,
) -> None:
    """Answer an ASGI request with an error; `more` is HTML for the page.

    An error that is recorded has a `reference`, which leads the operator to its report. A body that
    was not read (see `has_read`) ends the connection, and the answer says so.

    A websocket is closed before it is accepted, for which the server answers 403.
    """
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers, body = render(scope, error, site, more, reference)
    if not has_read and closes_connection(scope):
        headers.append(CLOSE)
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": body})


def render(
    scope: Any, error: ClientError, site: Site, more: str = "", reference: str | None = None
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Header fields and body of the answer to a request for which there is no context."""
    if site.is_api(path_of(scope)):
        body, kind = problem(error, reference).encode(), b"application/problem+json"
    else:
        more = notes(error, reference) + site.feedback(reference, scope.get("root_path", "")) + more
        html = site.page.render(error.title, error.detail, more, scope.get("root_path", ""))
        body, kind = html.encode(), b"text/html; charset=utf-8"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", site.page.policy.encode()),
        *((name.lower().encode(), value.encode()) for name, value in error.headers),
        (b"cache-control", b"no-store"),
    ]
    return headers, body


def last_resort(site: Site, scope: Any, error: HTTPException) -> Response:
    """The answer to a request whose context has ended: after an error in a teardown function, or
    when a stopping server waits no longer. An unexpected error has its reference.
    """
    status = error.code or 500
    extra = tuple(each for each in error.get_headers() if each[0].lower() != "content-type")
    reference = site.reference() if status == 500 else None
    described = site.describe_failure(status, scope=scope, headers=extra)
    headers, body = render(scope, described, site, reference=reference)
    fields = [(name.decode(), value.decode()) for name, value in headers]
    return Response(body, status, Headers(fields))
