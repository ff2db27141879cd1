"""Who calls: a bearer token for every view, a username and password to get a token."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from quart import g, request
from werkzeug.datastructures import Authorization

from quartapp.http_methods import SAFE_METHODS
from quartapp.microblog.accounts import accounts
from quartapp.microblog.credentials import authenticate
from quartapp.microblog.database import db
from quartapp.microblog.exceptions import (
    EmailUnconfirmedError,
    ForbiddenError,
    InsufficientScopeError,
    InvalidCredentialsError,
    TokenRequiredError,
)
from quartapp.microblog.models.event import EventKind
from quartapp.microblog.models.token import Grant, find_grant
from quartapp.microblog.models.user import PASSWORD_LENGTH, Credentials, is_administrator
from quartapp.microblog.throttling import digest, sender
from quartapp.microblog.trail import record_event
from quartapp.throttling.throttle import current_throttle

P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V", bound=Callable[..., Any])

_DAY = 24 * 3600

NEEDS_TOKEN = "_api_needs_token"
"""The attribute of a view that needs a token, for the OpenAPI document."""

ANY_SCOPE = "_api_any_scope"
ADMIN_ONLY = "_api_admin_only"
UNCONFIRMED = "_api_also_unconfirmed"


def token_required(view: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Require a valid token for the view, with the scope that the request's method needs.

    Raises TokenRequiredError, InvalidTokenError or InsufficientScopeError.
    """

    @wraps(view)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        grant = await _authenticate()
        needed = needed_scope(request.method, view)
        if needed not in grant.scope.split() and not hasattr(view, ANY_SCOPE):
            raise InsufficientScopeError(needed)
        if needed == "admin" and not await is_administrator(db, grant.user_id):
            raise ForbiddenError("Only administrators may do this.")
        may_write = accounts().may_write(is_confirmed=grant.is_confirmed)
        if needed == "write" and not may_write and not hasattr(view, UNCONFIRMED):
            raise EmailUnconfirmedError
        return await view(*args, **kwargs)

    setattr(wrapper, NEEDS_TOKEN, True)
    return wrapper


def admin_only(view: V) -> V:
    """Let only administrators call a view that has `token_required` above, with a token of the
    scope "admin"."""
    setattr(view, ADMIN_ONLY, True)
    return view


def any_scope(view: V) -> V:
    """Let every valid token call a view that has `token_required` above."""
    setattr(view, ANY_SCOPE, True)
    return view


def also_unconfirmed(view: V) -> V:
    """Let people call a view who have not confirmed their address, where that is required."""
    setattr(view, UNCONFIRMED, True)
    return view


def needed_scope(method: str, view: object) -> str:
    """The scope that a token needs for a request of this view with this method."""
    if hasattr(view, ADMIN_ONLY):
        return "admin"
    return "read" if method in SAFE_METHODS else "write"


def caller_id() -> int:
    """The id of the token's owner, in a view that requires one."""
    return cast(int, g.api_caller_id)


def presented_token() -> str:
    """The token that the request carries. Raises TokenRequiredError."""
    authorization = _authorization()
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        raise TokenRequiredError
    return authorization.token


async def check_password() -> Credentials:
    """The person whose username and password were sent (RFC 7617).

    Raises InvalidCredentialsError, and ThrottledError after many wrong passwords; it takes as long
    for an unknown name as for a wrong password.
    """
    authorization = _authorization()
    if authorization is None or authorization.type != "basic":
        raise InvalidCredentialsError
    password = authorization.password or ""
    if len(password) > PASSWORD_LENGTH:
        raise InvalidCredentialsError
    credentials = await authenticate(authorization.username or "", password)
    if credentials is None:
        raise InvalidCredentialsError
    return credentials


def _authorization() -> Authorization | None:
    try:
        return request.authorization
    except ValueError:  # Werkzeug's, for a Basic value that is not ASCII
        return None


async def _authenticate() -> Grant:
    """Set `caller_id`; return what the token allows."""
    token = presented_token()
    # No lock and no connection is held while a slow client sends.
    grant = await find_grant(db, token)
    g.api_caller_id = grant.user_id
    await _note_use(grant.user_id, token)
    return grant


async def _note_use(user_id: int, token: str) -> None:
    """Record the first use of a token from a network within a day."""
    if await current_throttle().is_new(_DAY, "token", digest(token), sender()):
        record_event(EventKind.TOKEN_USED, user_id)
