"""Who comes in, and what holds for every page: the token of forms, header fields, errors.

For others the inbox must not exist, and its time must not tell that it does. So the application
routes none of its addresses; the question comes where the application would answer 404, after all
its before_request functions. A no continues to that 404.
"""

import logging
from typing import Any

from quart import Quart, Response, g
from quart.globals import request_ctx
from quart.wrappers import Request
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)
from werkzeug.routing import BaseConverter, ValidationError
from werkzeug.routing.exceptions import RoutingException
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.database.errors import is_of_database
from quartapp.database.types import MAX_ID
from quartapp.http_methods import SAFE_METHODS
from quartapp.inbox import pages, tokens
from quartapp.inbox.site import Site
from quartapp.reporting import expect
from quartapp.reporting.exceptions import GroupNotFoundError, NewerSchemaError, sentence

MAX_BODY = 64 * 1024
"""The most bytes of a form."""

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_FIELDS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_KEPT = "_inbox_fields"
"""Where `g` has the header fields of a page, until the after_request functions were called."""

_AWAY = "inbox"
"""Reporting says itself that the database is away. Open pages would add an error at each try."""

_logger = logging.getLogger(__name__)


class IdConverter(BaseConverter):
    """The id of a row: `<error_id:group_id>`. What cannot be one is an unknown address."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if number > MAX_ID:
            raise ValidationError
        return number


def install(app: Quart, site: Site) -> None:
    """Have the inbox answer those whom the site allows, and the application all others."""
    dispatch, process = app.dispatch_request, app.process_response

    async def dispatch_request(context: Any = None) -> Any:
        current = context or request_ctx
        request: Request = current.request
        if not site.covers(request.path) or not await _is_allowed(site, current):
            return await dispatch(context)
        try:
            rule, values = site.match(request)
        except NotFound:
            return await dispatch(context)
        except HTTPException as error:
            return finish(await _answer_of_routing(app, error), request)
        request.url_rule, request.view_args = rule, values  # type: ignore[assignment]  # the other map
        request.routing_exception = None
        return await _answer(app, request)

    async def process_response(response: Any, context: Any = None) -> Any:
        fields = g.pop(_KEPT, None)  # and not for the page of an error that an after_request raises
        processed = await process(response, context)
        if fields is not None:
            processed.headers.update(fields)
        return processed

    setattr(app, "dispatch_request", dispatch_request)  # noqa: B010 no signal comes so late
    setattr(app, "process_response", process_response)  # noqa: B010 nor after all after_request


async def _is_allowed(site: Site, context: Any) -> bool:
    """Whether the site allows the request. If not, it leaves no trace in the answer.

    An answer varies by cookie if the session was read, of which App's own attribute is no access.
    """
    session = context._session if hasattr(context, "_session") else context.session
    accessed = getattr(session, "accessed", None)
    if await site.allows():
        return True
    if accessed is not None:
        session.accessed = accessed
    return False


async def _answer(app: Quart, request: Request) -> Any:
    tokens.check_key(app)
    try:
        if request.method not in SAFE_METHODS:
            request.max_content_length = MAX_BODY
            if (request.content_length or 0) > MAX_BODY:  # plain Quart has set its limit already
                raise RequestEntityTooLarge
            await tokens.check(request)
        view: Any = app.view_functions[request.endpoint or ""]
        result = await app.ensure_async(view)(**request.view_args or {})
        response = await app.make_response(result)
    except RoutingException:
        raise
    except HTTPException as error:
        if error.response is not None:
            raise
        response = await pages.failure(error.code or 500, error.description or error.name)
    except GroupNotFoundError:
        response = await pages.failure(404, "There is no such error. It may have been deleted.")
    except NewerSchemaError as error:
        expect(_AWAY)
        response = await pages.failure(503, sentence(error))
    except Exception as error:
        if not is_of_database(error):
            raise
        _logger.warning("The inbox cannot read the database of errors: %s", sentence(error))
        expect(_AWAY)
        response = await pages.failure(503, sentence(error))
    return finish(response, request)


async def _answer_of_routing(app: Quart, error: HTTPException) -> Any:
    """A redirect to the slash, or a 405: a cache that shows them to others says what is there."""
    response = error.get_response()
    if not isinstance(error, MethodNotAllowed):
        return await app.make_response(response)
    page = await pages.failure(405, "This address is for another method. Nothing was changed.")
    page.headers["Allow"] = response.headers["Allow"]
    return page


def finish(response: Any, request: Request) -> Response | WerkzeugResponse:
    """A response with the header fields of every page of the inbox.

    What the application's after_request functions say for all its pages, such as that they may be
    stored by everybody, does not replace them.
    """
    fields = {"Cache-Control": response.headers.get("Cache-Control", "no-store"), **_FIELDS}
    response.headers.update(fields)
    setattr(g, _KEPT, fields)
    tokens.keep(response, request)
    return response  # type: ignore[no-any-return]  # whatever the application's class is
