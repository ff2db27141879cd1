"""Header fields that every answer has, whichever part of the application gives it.

Browsers apply them to each answer alone, so an answer without them is a gap: a refusal of
admission, a redirect, a page of last resort. An application names the fields once; an answer that
has a field already, such as a stricter policy, keeps it.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

from quart import Quart

DEFAULTS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    # For browsers that do not know frame-ancestors.
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # An answer may be stored where it says so.
    "Cache-Control": "no-store",
}
"""For an application that takes part in no other site's pages."""

Fields = tuple[tuple[bytes, bytes], ...]

_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})


def wrap(app: Quart, fields: Mapping[str, str]) -> None:
    """Add `fields` to each answer that does not have them."""
    encoded = tuple((name.lower().encode(), value.encode()) for name, value in fields.items())
    app.asgi_app = ResponseHeaders(  # type: ignore[method-assign]  # Quart's documented place
        app.asgi_app, encoded
    )
    _add_to_last_resort(app, fields)


class ResponseHeaders:
    """ASGI middleware that adds the fields that an answer does not have."""

    def __init__(self, app: Any, fields: Fields) -> None:
        self._app = app
        self._fields = fields

    def __call__(self, scope: Any, receive: Any, send: Any) -> Coroutine[Any, Any, None]:
        """Serve one request; as a plain function, which costs less than another coroutine."""

        def complete(message: Any) -> Awaitable[None]:
            if message["type"] in _STARTS:
                message["headers"] = completed(message.get("headers", ()), self._fields)
            sent: Awaitable[None] = send(message)
            return sent

        served: Coroutine[Any, Any, None] = self._app(scope, receive, complete)
        return served


def completed(headers: Iterable[tuple[bytes, bytes]], fields: Fields) -> list[tuple[bytes, bytes]]:
    """The header fields of an answer, and those of `fields` whose names are not among them."""
    found = list(headers)
    present = {name for name, _ in found}
    return found + [field for field in fields if field[0] not in present]


def _add_to_last_resort(app: Any, fields: Mapping[str, str]) -> None:
    """A stopping server gives its last answers outside of all middleware."""
    answer: Callable[..., Any] | None = getattr(app, "last_resort", None)
    if answer is None:
        return

    def last_resort(scope: Any, error: Any) -> Any:
        response = answer(scope, error)
        for name, value in fields.items():
            response.headers.setdefault(name, value)
        return response

    app.last_resort = last_resort
