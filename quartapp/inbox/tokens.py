"""Forms that only a page of the inbox can send: the token of a browser, and who caused a request.

The token is made of a random cookie of the browser and SECRET_KEY, so that it needs no session: an
application may keep its sessions anywhere, and check tokens in its own way besides.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from inspect import isawaitable
from typing import Any

from quart import Quart, current_app, g, request
from werkzeug.exceptions import BadRequest, Forbidden

from quartapp import http_methods
from quartapp.flasklike.sessions import signing_keys
from quartapp.settings import ConfigurationError

FIELD = "inbox_token"
"""The field of each form."""

COOKIE = "error_inbox"
_LENGTH = 32
_PURPOSE = b"quartapp.inbox\0"

EXPIRED = (
    "This form is not valid any more: the page is old, or your browser keeps no cookies. Nothing"
    " was changed. Please load the page again."
)
FOREIGN = "This request came from another site, so it was not carried out."


def check_key(app: Quart) -> None:
    """Raise ConfigurationError if the application has no key that makes tokens."""
    if not app.secret_key:
        raise ConfigurationError(
            "SECRET_KEY: is required by Inbox, whose forms are signed with it; expected a long"
            ' random text, such as the output of python -c "import secrets;'
            ' print(secrets.token_hex())"'
        )


def token() -> str:
    """The token for the forms of this response."""
    browser = g.get("_inbox_browser") or _browser(request)
    if browser is None:
        browser = secrets.token_hex(_LENGTH // 2)
    g._inbox_browser = browser
    return _sign(signing_keys(current_app)[0], browser)


async def own_token() -> str:
    """What the application itself may want as `csrf_token` in each form; "" if it says nothing.

    It is the template global of that name, as Flask-WTF and others have it. If that function fails,
    the page is shown all the same.
    """
    made = current_app.jinja_env.globals.get("csrf_token")
    try:
        value = made() if callable(made) else made
        if isawaitable(value):
            value = await value
    except Exception:  # noqa: BLE001 the function is the application's
        return ""
    return str(value or "")


async def check(asked: Any) -> None:
    """Refuse a form that no page of this inbox gave to this browser; raises 400 or 403."""
    if is_foreign(asked):
        raise Forbidden(FOREIGN)
    given = (await asked.form).get(FIELD, "")
    browser = _browser(asked)
    if browser is None or not any(
        hmac.compare_digest(_sign(key, browser).encode(), given.encode("utf-8", "replace"))
        for key in signing_keys(current_app)
    ):
        raise BadRequest(EXPIRED)


def keep(response: Any, asked: Any) -> None:
    """Give the browser its cookie, if a form of this response needs it."""
    browser = g.get("_inbox_browser")
    if browser and browser != _browser(asked):
        config = current_app.config
        response.set_cookie(
            COOKIE,
            browser,
            path=(asked.root_path or "") + current_app.extensions["inbox"].prefix,
            secure=asked.is_secure or bool(config["SESSION_COOKIE_SECURE"]),
            httponly=True,
            samesite="Lax",  # a page that a mail led to keeps the cookie of the other tabs
        )


def _browser(asked: Any) -> str | None:
    value = asked.cookies.get(COOKIE, "")
    is_ours = len(value) == _LENGTH and value.isascii() and value.isalnum()
    return value if is_ours else None


def _sign(key: str | bytes, browser: str) -> str:
    key = key.encode() if isinstance(key, str) else key
    digest = hmac.digest(key, _PURPOSE + browser.encode(), "sha256")
    return urlsafe_b64encode(digest).decode().rstrip("=")


def is_foreign(asked: Any) -> bool:
    """Whether a browser says that another site caused this request."""
    headers = asked.headers
    return http_methods.is_foreign(headers.get("Sec-Fetch-Site"), headers.get("Origin"), asked.host)
