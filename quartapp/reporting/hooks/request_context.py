"""The request in which an error happened, and its user.

Only data in memory is read: no body is awaited, and no database is queried.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from quart import (
    current_app,
    has_app_context,
    has_request_context,
    has_websocket_context,
    request,
    websocket,
)
from quart.wrappers import Request
from quart.wrappers.base import BaseRequestWebsocket

from quartapp import breadcrumbs
from quartapp.breadcrumbs import Breadcrumb
from quartapp.redact.context import Context
from quartapp.reporting.hooks.request_state import current_state, error_reference
from quartapp.request_ids import current as current_ids
from quartapp.request_ids import parsed_traceparent, trace_id

UserId = Callable[[], str | int | UUID | None]
"""Returns the ID of the current request's user without querying the database; None for nobody."""


def nobody() -> str:
    """The `UserId` of an application without users."""
    return ""


def current_request() -> BaseRequestWebsocket | None:
    """The current request or websocket, even if its context has ended."""
    if has_request_context():
        return request._get_current_object()  # type: ignore[attr-defined, no-any-return]  # a proxy
    if has_websocket_context():
        return websocket._get_current_object()  # type: ignore[attr-defined, no-any-return]  # a proxy
    state = current_state.get()
    return state.request if state else None


BREADCRUMBS = 50
"""How many of the request's last log lines and statements a report has."""


def request_context(mechanism: str, user_id: UserId) -> Context:
    """The data of the current request, and the mechanism. What cannot be read is ""."""
    found = current_request()
    if found is None:
        return Context(
            mechanism=mechanism,
            user_id=_person(user_id),
            reference=_try(error_reference),
            trace=_trace(()),
            request_id=_request_id(),
            breadcrumbs=_breadcrumbs(),
        )
    context = context_of_request(found, mechanism)
    return replace(context, user_id=_person(user_id))


def met(user_id: UserId) -> tuple[str, str]:
    """The reference of an occurrence that is only counted, and its user; each "" if unknown.

    Outside of requests and application contexts nobody could name its reference.
    """
    is_shown = current_state.get() is not None or has_app_context()
    return _try(error_reference) if is_shown else "", _person(user_id)


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
        referrer_args=_args_of_referrer(found),
        reference=_try(error_reference),
        trace=_trace(found.headers.items()),
        request_id=_request_id(),
        breadcrumbs=_breadcrumbs(),
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
        referrer_args=_args_of_referrer(found),
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
        trace=_trace(headers),
        request_id=_request_id(),
        breadcrumbs=_breadcrumbs(),
    )


def _breadcrumbs() -> list[Breadcrumb]:
    ring = breadcrumbs.breadcrumbs()
    return ring.raw(BREADCRUMBS) if ring is not None else []


def _trace(headers: Iterable[tuple[str, str]]) -> str:
    """The trace id of OpenTelemetry's current span, or of `RequestIds`. In an application without
    both it is that of the header `traceparent`; "" if there is none or it is not valid."""
    if "opentelemetry.trace" in sys.modules and (trace := trace_id()):
        return trace
    if (ids := current_ids.get()) is not None:
        return ids.trace_id
    given = [value for name, value in headers if name.lower() == "traceparent"]
    parsed = parsed_traceparent(given) if given else None
    return parsed[0] if parsed else ""


def _request_id() -> str:
    ids = current_ids.get()
    return ids.request_id if ids is not None else ""


def _parsed(found: BaseRequestWebsocket) -> tuple[Mapping[str, object] | None, object]:
    """Form and JSON, if the view has read them: reading the body here would consume it."""
    if not isinstance(found, Request):
        return None, None
    form: Any = found._form.to_dict(flat=False) if found._form is not None else None
    json = next((value for value in found._cached_json.values() if value is not Ellipsis), None)
    return form, json


def _args_of_referrer(found: BaseRequestWebsocket) -> Mapping[str, object] | None:
    """The path arguments of the page of this application from which a request came.

    A link may have a secret in its path, as one that resets a password. The browser sends it with
    the next request.
    """
    try:
        path = unquote(urlsplit(found.referrer or "").path).removeprefix(found.root_path)
        if not path:
            return None
        adapter: Any
        if has_app_context():
            adapter = current_app.create_url_adapter(found)
        else:  # an answer that is sent in pieces may fail later
            rule: Any = found.url_rule
            adapter = rule.map.bind(found.host)
        args: Mapping[str, object] = adapter.match(path, method="GET", websocket=False)[1]
        return args
    except Exception:  # noqa: BLE001 - it is no page of this application, or that is broken
        return None


def _person(user_id: UserId) -> str:
    """The user as a text; "" for none, and for what is no ID, such as a coroutine."""
    try:
        found: object = user_id()
        is_id = isinstance(found, str | int | UUID) and not isinstance(found, bool)
        return str(found) if is_id else ""
    except Exception:  # noqa: BLE001 - after an error any part may be broken
        return ""


def _try(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Exception:  # noqa: BLE001 - after an error any part may be broken
        return ""
