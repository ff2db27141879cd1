"""Bounds on the head of a request, checked before any other processing.

ASGI servers have different bounds, and some have none. Bodies are bounded where they are read:
MAX_CONTENT_LENGTH, MAX_FORM_PARTS.
"""

import re
from typing import Any

from quart import Quart
from werkzeug.sansio.utils import host_is_trusted

from quartapp.errors.refusal import refuse
from quartapp.errors.site import Site

LONGEST_ADDRESS = 8_000
"""Of path and query together, in octets as sent (RFC 9110, 4.1, recommends at least 8000)."""

MOST_ARGUMENTS = 100
"""In a query. Parsing many arguments costs time, and no page reads that many."""

LARGEST_HEAD = 32 * 1024
"""Of all header fields together, in bytes. nginx has the same limit: four buffers of 8 KB."""

MOST_FIELDS = 100
"""Header fields, the default of Apache."""

MOST_COOKIES = 200
"""Browsers keep at most 180 for a site (Chromium)."""

_BAD_LABEL = re.compile(rb"(?:^|\.)-|-(?:[.:]|$)")
"""A label of a host name must not begin or end with a hyphen (RFC 952)."""


def wrap(app: Quart, site: Site) -> None:
    """Check the heads of requests. Call it after admission, which should not count refused ones."""
    app.asgi_app = Bounds(app.asgi_app, site)  # type: ignore[method-assign]  # Quart's place for it


class Bounds:
    """ASGI middleware: 400, 414 or 431 for a request beyond the bounds of this module."""

    def __init__(self, app: Any, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        fault = _fault(scope) if scope["type"] in {"http", "websocket"} else None
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await refuse(scope, send, self._site.describe(*fault), self._site)


def _fault(scope: Any) -> tuple[int, str] | None:
    """The status and the detail of a refusal."""
    query: bytes = scope.get("query_string", b"")
    if len(scope.get("raw_path") or scope["path"]) + len(query) > LONGEST_ADDRESS:
        return (414, "This address is longer than this server accepts.")
    if query.count(b"&") >= MOST_ARGUMENTS:
        return (400, f"This address has more than {MOST_ARGUMENTS} arguments.")
    size = cookies = hosts = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        lower = name.lower()
        if lower == b"cookie":
            cookies += value.count(b";") + 1
        elif lower == b"host":
            hosts += 1
            if not _is_host(value):
                return (400, "Your browser named a host that cannot exist.")
    if hosts > 1:  # RFC 9112, 3.2; not every server refuses it
        return (400, "Your browser named more than one host.")
    if size > LARGEST_HEAD or len(scope["headers"]) > MOST_FIELDS or cookies > MOST_COOKIES:
        return (431, "Your browser sent more cookies or header fields than are accepted.")
    return None


def _is_host(value: bytes) -> bool:
    """Whether its characters may form a host; empty is allowed (RFC 9112, 3.2)."""
    if _BAD_LABEL.search(value):
        return False
    # Host names in a container network may have underscores, which Werkzeug rejects.
    return not value or host_is_trusted(value.decode("latin-1").replace("_", "-"))
