"""Headers and checks that protect people's browsers, on every response and request."""

from quart import Quart, request

from quartapp.flasklike import Response, abort

# Pico's stylesheet holds its icons as data: addresses.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)

_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    # For browsers that do not know frame-ancestors.
    ("X-Frame-Options", "DENY"),
    # Not no-referrer: browsers then send `Origin: null` with our own forms.
    ("Referrer-Policy", "same-origin"),
)

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def init_app(app: Quart) -> None:
    app.before_request(refuse_foreign_requests)
    app.after_request(add_headers)


async def refuse_foreign_requests() -> None:
    """Refuse what another site made a person's browser send; raises 403.

    A second line behind SameSite cookies and form tokens. Programs that send no cookie
    are not meant: no browser lent them its login.
    """
    if request.method not in _SAFE_METHODS and request.cookies and is_foreign():
        abort(403, "This request came from another site, so it was not carried out.")


async def add_headers(response: Response) -> Response:
    """Add what the view did not set itself. Pages are personal: no shared cache keeps them."""
    headers = response.headers
    # Not `setdefault`, with which Werkzeug makes an exception for each field that is missing.
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
    # Only the host is compared: behind a proxy the scheme may be unknown.
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host
