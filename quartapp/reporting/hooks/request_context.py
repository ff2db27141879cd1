"""The request in which an error happened, and its user.

Only data in memory is read: no body is awaited, and no database is queried.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from quart import has_request_context, has_websocket_context, request, websocket
from quart.wrappers import Request
from quart.wrappers.base import BaseRequestWebsocket

from quartapp.redact.context import Context
from quartapp.reporting.hooks.request_state import current_state, error_reference

UserId = Callable[[], str]
"""Returns the ID of the current request's user without querying the database; "" for none."""


def current_request() -> BaseRequestWebsocket | None:
    """The current request or websocket, even if its context has ended."""
    if has_request_context():
        return request._get_current_object()  # type: ignore[attr-defined, no-any-return]  # a proxy
    if has_websocket_context():
        return websocket._get_current_object()  # type: ignore[attr-defined, no-any-return]  # a proxy
    state = current_state.get()
    return state.request if state else None


def request_context(mechanism: str, user_id: UserId) -> Context:
    """The data of the current request, and the mechanism. What cannot be read is ""."""
    found = current_request()
    if found is None:
        return Context(mechanism=mechanism, user_id=_try(user_id), reference=_try(error_reference))
    context = context_of_request(found, mechanism)
    return replace(context, user_id=_try(user_id))


def context_of_request(found: BaseRequestWebsocket, mechanism: str) -> Context:
    """The data of a request, not scrubbed yet."""
    form, json = _parsed(found)
    return Context(
        mechanism=mechanism,
        method=found.method if isinstance(found, Request) else "WEBSOCKET",
        route=found.url_rule.rule if found.url_rule else "",
        endpoint=found.endpoint or "",
        url=_try(lambda: found.url),  # raises for a host that is not in TRUSTED_HOSTS
        headers=list(found.headers.items()),
        form=form,
        json=json,
        path_args=found.view_args,
        reference=_try(error_reference),
    )


def request_secrets() -> Context:
    """The parts of the current request that may contain secrets, which the log removes from its
    lines. It shows no data of the request."""
    found = current_request()
    if found is None:
        return Context()
    form, json = _parsed(found)
    return Context(
        url="?" + found.query_string.decode("latin-1"),
        headers=list(found.headers),
        form=form,
        json=json,
        path_args=found.view_args,
    )


def context_of_asgi(asgi: Any, mechanism: str) -> Context:
    """The data of a request for which Quart has created no request object."""
    query = asgi.get("query_string", b"").decode("latin-1")
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in asgi["headers"]]
    return Context(
        mechanism=mechanism,
        method=asgi.get("method", "WEBSOCKET"),
        url=asgi["path"] + (f"?{query}" if query else ""),
        headers=headers,
        reference=_try(error_reference),
    )


def _parsed(found: BaseRequestWebsocket) -> tuple[Mapping[str, object] | None, object]:
    """Form and JSON, if the view has read them: reading the body here would consume it."""
    if not isinstance(found, Request):
        return None, None
    form: Any = found._form.to_dict(flat=False) if found._form is not None else None
    json = next((value for value in found._cached_json.values() if value is not Ellipsis), None)
    return form, json


def _try(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Exception:  # noqa: BLE001 - after an error any part may be broken
        return ""
