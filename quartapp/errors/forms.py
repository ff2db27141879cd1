"""Reading a form before the application sees the request."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from quartapp.http_methods import is_foreign

_FORM = "application/x-www-form-urlencoded"
_LONGEST = 64 * 1024
_SECONDS = 5.0
_MOST_FIELDS = 100


async def sent_form(scope: Any, receive: Any) -> list[tuple[str, str]] | None:
    """The fields of the form that a request submits; None if it submits none, or one that came from
    another site, is too long, or did not arrive in time."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
    kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
    if scope["method"] != "POST" or kind != _FORM or _is_foreign(headers):
        return None
    try:
        async with asyncio.timeout(_SECONDS):
            body = await _read(receive)
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except (TimeoutError, ValueError):
        return None


def _is_foreign(headers: Mapping[bytes, str]) -> bool:
    names = (b"sec-fetch-site", b"origin", b"host")
    return is_foreign(*map(headers.get, names))


async def _read(receive: Any) -> bytes:
    """The body of a request. Raises ValueError if it is too long or the client disconnects."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if message["type"] != "http.request" or len(body) > _LONGEST:
            raise ValueError("too long, or the client disconnected")
    return body
