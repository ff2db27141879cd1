"""The values of an ASGI scope in the form that Werkzeug expects."""

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

OUTSIDE = " "
"""Stands for a path outside the root path. No rule matches it."""

CLOSE = (b"connection", b"close")
"""The header field of a response after which the server closes the connection."""

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_ANNOUNCES_BODY = frozenset({b"content-length", b"transfer-encoding"})


class RequestHeaders(Headers):
    """Header fields whose absence is an error of the application, not of the client.

    ``headers["X-Missing"]`` raises a plain KeyError with the field's name in a WSGI environment, as
    on Flask. Werkzeug's other headers raise a bad request.
    """

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        value = self.get(key)
        if value is None:
            name = key.upper().replace("-", "_")
            prefix = "" if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else "HTTP_"
            raise KeyError(f"{prefix}{name}")
        return value

    def get(self, key: str, default: Any = None, type: Any = None) -> Any:  # type: ignore[override]
        """As Werkzeug's, without an exception inside for each field that is missing."""
        wanted = key.lower()
        for name, value in self:
            if name.lower() == wanted:
                try:
                    return value if type is None else type(value)
                except ValueError:
                    return default
        return default


@lru_cache(maxsize=512)  # few names are in use; clients may invent more
def _title(name: bytes) -> str:
    return name.decode("latin1").title()


def headers_of(scope: Any) -> Headers:
    """The header fields, preceded by the client's address as Remote-Addr."""
    client = scope.get("client") or ["<local>"]
    headers = RequestHeaders([("Remote-Addr", client[0])])
    for name, value in scope["headers"]:
        headers.add(_title(name), value.decode("latin1"))
    return headers


def path_of(scope: Any) -> str:
    """The path below the root path; "/" if the client sent none."""
    path: str = scope["path"]
    if path[:1] != "/":
        path = urlsplit(path).path or "/"
    root_path: str = scope.get("root_path", "")
    if root_path:
        if path == root_path or not path.startswith(root_path):
            return OUTSIDE
        path = path.removeprefix(root_path)
    return path


def may_have_body(scope: Any) -> bool:
    """Whether a request may have a body.

    Without the header fields that announce it only HTTP/2 can send one, and does not with GET.
    """
    return scope["method"] not in _BODILESS or any(
        name in _ANNOUNCES_BODY for name, _ in scope["headers"]
    )


def closes_connection(scope: Any) -> bool:
    """Whether the server has to close the connection if it does not read the request's body.

    In HTTP/1 the next request begins where the body ends; HTTP/2 has frames. The response has to
    say so (`CLOSE`, RFC 9112, 9.6), or the client's next request is lost.
    """
    return bool(scope["http_version"] < "2") and may_have_body(scope)
