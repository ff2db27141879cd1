"""Answering a request before the application has seen it."""

from typing import Any

from quartapp.errors.plain import PlainPage
from quartapp.errors.responses import ClientError, is_api, problem

# The application adds these to its own pages.
_POLICY = b"default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'"


async def refuse(
    scope: Any, send: Any, error: ClientError, page: PlainPage, more: str = ""
) -> None:
    """Answer an ASGI request with an error; `more` is HTML for the page.

    A websocket is closed before it is accepted, for which the server answers 403.
    """
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    if is_api(scope["path"]):
        body, kind = problem(error).encode(), b"application/problem+json"
    else:
        html = page.render(error.title, error.detail, more, scope.get("root_path", ""))
        body, kind = html.encode(), b"text/html; charset=utf-8"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", _POLICY),
        (b"x-content-type-options", b"nosniff"),
        *((name.lower().encode(), value.encode()) for name, value in error.headers),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": body})
