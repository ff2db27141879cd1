"""Headers on every response and checks of every request that protect people's browsers."""

from collections.abc import Mapping
from typing import Any

from quart import Quart, request
from werkzeug.routing import RequestRedirect

from quartapp.errors import headers
from quartapp.flasklike import Response, abort
from quartapp.http_methods import SAFE_METHODS
from quartapp.inbox.tokens import is_foreign
from quartapp.microblog.identity import LONGEST_NEXT, visitor

# Pico's stylesheet contains its icons as data: URLs.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def init_app(app: Quart) -> None:
    """Check every request, and let browsers keep the pages of strangers."""
    app.before_request(check_request)
    app.after_request(let_browsers_keep)


def response_headers(config: Mapping[str, Any]) -> dict[str, str]:
    """The header fields of every response, for `errors.headers`.

    Where cookies are sent over https only, browsers are told to come by https only.
    """
    fields = {**headers.DEFAULTS, "Content-Security-Policy": CONTENT_SECURITY_POLICY}
    if config["SESSION_COOKIE_SECURE"]:
        seconds = config["HSTS_SECONDS"]
        fields["Strict-Transport-Security"] = f"max-age={seconds}; includeSubDomains"
    return fields


async def check_request() -> None:
    """Refuse a request that must not reach its view; raises 403 or 414."""
    redirect = request.routing_exception
    if isinstance(redirect, RequestRedirect) and len(redirect.new_url) > LONGEST_NEXT:
        abort(414, "This address is longer than this server accepts.")
    refuse_foreign_requests()


def refuse_foreign_requests() -> None:
    """Refuse a request that another site made a person's browser send; raises 403.

    It backs up SameSite cookies and form tokens. Requests without cookies are not checked, because
    they carry nobody's login.
    """
    if request.method not in SAFE_METHODS and request.cookies and is_foreign(request):
        abort(403, "This request came from another site, so it was not carried out.")


async def let_browsers_keep(response: Response) -> Response:
    """Let browsers, and no shared cache, keep the pages that strangers see.

    What somebody who is logged in was shown is stored nowhere, as is every response that says
    nothing about it.
    """
    is_strangers = response.mimetype == "text/html" and not visitor().is_known
    # Not `setdefault`: Werkzeug raises an exception internally for a missing field.
    if is_strangers and "Cache-Control" not in response.headers:
        response.headers.add("Cache-Control", "private, no-cache")
    return response
