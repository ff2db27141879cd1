"""Who is calling: a person with a login cookie.

The cookie is signed and holds the person's id, login epoch and name. `load_person` compares it
with the database once per request. The name is for error pages, which greet the person even while
the database is unreachable.
"""

import logging
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast
from urllib.parse import quote

from quart import (
    Quart,
    current_app,
    g,
    has_request_context,
    has_websocket_context,
    request,
    websocket,
)
from quart_auth import Action, AuthUser, QuartAuth
from sqlalchemy.exc import OperationalError

from quartapp.database import current_database, reading_first, request_session
from quartapp.microblog.config import Settings
from quartapp.microblog.exceptions import LoginRequiredError
from quartapp.microblog.models.base import utc_now
from quartapp.microblog.models.user import Person, find_person, update_user

LAST_SEEN_EVERY = timedelta(minutes=1)
"""How precise `last_seen` is: writing it at every request would cost too much."""

REMEMBER_FOR = timedelta(days=365)

LONGEST_NEXT = 2_000
"""Characters of an address that is repeated in the head of a response, percent-encoded."""

# Blueprints whose responses are the same for everybody, or that authenticate the caller themselves.
_IMPERSONAL = frozenset({"api", "avatars", "health"})

_logger = logging.getLogger(__name__)


class Claim(NamedTuple):
    """The contents of a login cookie."""

    user_id: int
    login_epoch: int
    remember: bool
    username: str


class Visitor(AuthUser):
    """The sender of this request, known or not. `load_person` sets `person`."""

    person: Person | None = None

    @property
    def is_known(self) -> bool:
        """Whether the cookie is genuine. The account may have been deleted since."""
        return self.auth_id is not None

    @property
    def name(self) -> str | None:
        """The name to greet with: that in the database, otherwise that in the cookie, or None."""
        if self.person is not None:
            return self.person.username
        claim = self.claim()
        return claim.username if claim else None

    def claim(self) -> Claim | None:
        """The contents of the cookie, which only `load` confirms."""
        user_id, epoch, remember, username = [*(self.auth_id or "").split(".", 3), "", "", ""][:4]
        if not (user_id.isdigit() and epoch.isdigit() and username):
            return None
        return Claim(int(user_id), int(epoch), remember == "1", username)

    async def load(self) -> Person | None:
        """Read the person's row; a login that was ended makes the visitor unknown."""
        claim = self.claim()
        if claim is None:
            return None
        async with reading_first() as session:
            person = await find_person(session, claim.user_id)
        if person is None or person.login_epoch != claim.login_epoch:
            self._auth_id = None
            return None
        self.person = person
        return person


@lru_cache(maxsize=8)
def _kept_serializer(keys: str | tuple[str, ...], salt: str) -> Any:
    return QuartAuth.serializer_class(keys, salt)


def _serializer(keys: str | list[str], salt: str) -> Any:
    """The serializer for these keys, cached: the extension makes one for each cookie."""
    return _kept_serializer(keys if isinstance(keys, str) else tuple(keys), salt)


class _Auth(QuartAuth):
    user_class = Visitor
    serializer_class = staticmethod(_serializer)  # type: ignore[assignment]  # as good as a class

    def load_user(self) -> AuthUser:
        """The visitor that the cookie names, read once per request."""
        if not (has_request_context() or has_websocket_context()):
            return self.user_class(None)
        user: AuthUser | None = g.get(self.attribute_name)
        if user is None:
            user = self.resolve_user()
            setattr(g, self.attribute_name, user)
        return user

    def load_cookie(self) -> str | None:
        """The contents of a genuine cookie; None without one, which is frequent."""
        cookies = request.cookies if has_request_context() else websocket.cookies
        token = cookies.get(self.cookie_name or "")
        return None if token is None else self.load_token(token)


def init_app(app: Quart, settings: Settings) -> None:
    """Read login cookies, and load the person before each view."""
    auth = _Auth(
        cookie_secure=settings.cookie_secure,
        cookie_samesite="Lax",
        duration=int(REMEMBER_FOR.total_seconds()),
        # Otherwise a synchronous context processor is registered, which costs every page a thread.
        singleton=False,
    )
    auth.init_app(app)
    app.extensions["identity"] = auth
    app.before_request(load_person)


def visitor() -> Visitor:
    """The visitor of the current request. Never queries the database."""
    return cast(Visitor, _auth().load_user())


def visitor_id() -> str:
    """The visitor's id for an error report, "" if unknown. Never queries the database."""
    caller: int | None = g.get("api_caller_id")  # a program, by its token
    if caller is not None:
        return str(caller)
    claim = visitor().claim()
    return str(claim.user_id) if claim else ""


async def load_person() -> None:
    """Read the row of the cookie's person, for requests that reach the view of a page.

    Unknown addresses and static files do not need it: their pages use the name in the cookie.
    """
    if request.routing_exception is not None or request.endpoint in {None, "static"}:
        return
    if request.blueprint in _IMPERSONAL:
        return
    person = await visitor().load()
    if person is not None and utc_now() - person.last_seen > LAST_SEEN_EVERY:
        await _record_presence(person)


async def _record_presence(person: Person) -> None:
    # Return the request's connection first: requests that each hold one and wait for a second
    # can wait for each other.
    await request_session().commit()
    try:
        async with current_database().session() as writer:
            await update_user(writer, person.id, last_seen=utc_now())
    except OperationalError as error:
        # Showing the page is more important.
        _logger.warning("Could not record when %s was seen: %s", person.id, error.orig)


def current_person() -> Person:
    """The person who is logged in. Raises LoginRequiredError."""
    person = visitor().person
    if person is None:
        raise LoginRequiredError
    return person


def viewer_id() -> int | None:
    """The id of the person who is logged in; None for a stranger."""
    person = visitor().person
    return person.id if person else None


def log_in(user_id: int, username: str, login_epoch: int, *, remember: bool = False) -> None:
    """Set a login cookie; with `remember` it outlives the browser's session."""
    auth_id = f"{user_id}.{login_epoch}.{remember:d}.{username}"
    action = Action.WRITE_PERMANENT if remember else Action.WRITE
    _auth().login_user(Visitor(auth_id, action))


def rename_cookie(username: str) -> None:
    """Change the name in the login cookie; its lifetime stays as it was."""
    person = current_person()
    claim = visitor().claim()
    if claim is not None and claim.username == username:
        return  # it would be the same cookie
    log_in(person.id, username, person.login_epoch, remember=claim is not None and claim.remember)


def fits_into_next(address: str) -> bool:
    """Whether an address is short enough to return to it after a login.

    It is percent-encoded in the head of the response, which may have 4 KB behind a proxy (nginx).
    """
    return len(quote(address)) <= LONGEST_NEXT


def log_out() -> None:
    """Delete the login cookie."""
    _auth().logout_user()


def _auth() -> QuartAuth:
    return cast(QuartAuth, current_app.extensions["identity"])
