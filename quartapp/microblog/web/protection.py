"""Headers on every response and checks of every request that protect people's browsers."""

from quart import Quart, request

from quartapp.database.request import SAFE_METHODS
from quartapp.flasklike import Response, abort

# Pico's stylesheet contains its icons as data: URLs.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)

_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    # For browsers that do not know frame-ancestors.
    ("X-Frame-Options", "DENY"),
    # Not no-referrer: browsers would send `Origin: null` with our own forms.
    ("Referrer-Policy", "same-origin"),
)


def init_app(app: Quart) -> None:
    """Check every request, and add headers to every response."""
    app.before_request(refuse_foreign_requests)
    app.after_request(add_headers)


async def refuse_foreign_requests() -> None:
    """Refuse a request that another site made a person's browser send; raises 403.

    It backs up SameSite cookies and form tokens. Requests without cookies are not checked, because
    they carry nobody's login.
    """
    if request.method not in SAFE_METHODS and request.cookies and is_foreign():
        abort(403, "This request came from another site, so it was not carried out.")


async def add_headers(response: Response) -> Response:
    """Add headers that the view did not set. Pages are personal, so no shared cache keeps them."""
    headers = response.headers
    # Not `setdefault`, because Werkzeug raises an exception internally for each missing field.
    present = {name.lower() for name, _ in headers}
    for name, value in _HEADERS:
        if name.lower() not in present:
            headers.add(name, value)
    if "cache-control" not in present and response.mimetype == "text/html":
        headers.add("Cache-Control", "private, no-cache")
    return response


def is_foreign() -> bool:
    """Whether a browser says that another site caused this request."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    # Only the host is compared, because the scheme may be unknown behind a proxy.
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host
