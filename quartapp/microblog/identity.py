"""The identity of a visitor: a person with a login cookie.

The cookie is signed and contains the person's id, the secret of a login, and the person's name.
`load_person` finds the login and its person in the database once per request, so a login that was
ended there has ended for every copy of its cookie. Error pages use the name to greet the person
even while the database is unreachable.
"""

import logging
import secrets
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast
from urllib.parse import quote

from itsdangerous import BadSignature
from quart import (
    Quart,
    current_app,
    g,
    has_request_context,
    has_websocket_context,
    request,
    session,
    websocket,
)
from quart_auth import Action, AuthUser, QuartAuth
from sqlalchemy.exc import OperationalError

from quartapp.flasklike import Response
from quartapp.flasklike.sessions import signing_keys
from quartapp.microblog.config import Settings
from quartapp.microblog.database import db
from quartapp.microblog.exceptions import LoginRequiredError
from quartapp.microblog.models.base import utc_now
from quartapp.microblog.models.login import (
    LOGIN_LIFE,
    USER_AGENT_LENGTH,
    Device,
    Person,
    end_login,
    find_person,
    record_presence,
    start_login,
)
from quartapp.microblog.models.token import digest_of
from quartapp.microblog.models.user import find_login_epoch

LAST_SEEN_EVERY = timedelta(minutes=1)
"""The precision of `last_seen`: writing it at every request would cost too much."""

COOKIE = "QUART_AUTH"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""The name if cookies are secure. Browsers accept it only from this host, over https and for all
paths. No neighbouring host or attacker on the network can plant a login (RFC 6265bis, 4.1.3)."""

LONGEST_NEXT = 2_000
"""The most characters of a percent-encoded address that is repeated in a response header."""

# Blueprints whose responses are the same for everybody, or that authenticate the caller themselves.
_IMPERSONAL = frozenset({"api", "avatars", "health"})

_ATTRIBUTE = "_visitor"  # of `g`

_logger = logging.getLogger(__name__)


class Claim(NamedTuple):
    """The contents of a login cookie. `key` is the login's secret.

    In a cookie of the previous version it is the `login_epoch` of the person, a number.
    """

    user_id: int
    key: str
    remember: bool
    username: str

    @property
    def is_old(self) -> bool:
        return self.key.isdecimal()

    def __str__(self) -> str:
        return f"{self.user_id}.{self.key}.{self.remember:d}.{self.username}"

    @classmethod
    def parse(cls, text: str) -> "Claim | None":
        user_id, key, remember, username = [*text.split(".", 3), "", "", ""][:4]
        if not (user_id.isdigit() and key and username):
            return None
        return cls(int(user_id), key, remember == "1", username)


class Visitor(AuthUser):
    """The sender of this request, logged in or not. `load_person` sets `person`."""

    person: Person | None = None
    # Whether one of SECRET_KEY_FALLBACKS signed the cookie.
    is_signed_before: bool = False
    # A cookie of the previous version, and when it was issued.
    old_cookie: str = ""
    issued: datetime | None = None
    _digest: str | None = None

    def __init__(self, auth_id: str | None, action: Action = Action.PASS) -> None:
        super().__init__(auth_id, action)
        self._claim = Claim.parse(auth_id) if auth_id else None

    @property
    def is_known(self) -> bool:
        """Whether the cookie is genuine. Its login may have ended."""
        return self.auth_id is not None

    @property
    def name(self) -> str | None:
        """The name for greetings: that in the database, otherwise that in the cookie, or None."""
        if self.person is not None:
            return self.person.username
        claim = self.claim()
        return claim.username if claim else None

    def claim(self) -> Claim | None:
        """The contents of the cookie, which only `load` confirms."""
        return self._claim if self.is_known else None

    def login_digest(self) -> str:
        """The digest that identifies the login; "" without one. Never queries the database."""
        claim = self.claim()
        if claim is None:
            return ""
        if self._digest is None:
            self._digest = digest_of(self.old_cookie or claim.key)
        return self._digest

    async def load(self) -> Person | None:
        """Find the login and its person. If it has ended, the visitor becomes unknown."""
        claim = self.claim()
        if claim is None:
            return None
        self.person = await find_person(db, self.login_digest())
        if self.person is None and await self._may_be_taken_over(claim):
            self.person = await self._take_over(claim)
        if self.person is None:
            self._auth_id = None
        return self.person

    async def _may_be_taken_over(self, claim: Claim) -> bool:
        if self.issued is None or utc_now() - self.issued > LOGIN_LIFE:
            return False
        # Checked before a write, because a browser sends an ended cookie with each request.
        return await find_login_epoch(db, claim.user_id) == int(claim.key)

    async def _take_over(self, claim: Claim) -> Person | None:
        """Create a login for a cookie of the previous version. The cookie becomes its secret."""
        await start_login(
            db,
            claim.user_id,
            int(claim.key),
            self.login_digest(),
            _device(),
            remembered=True,
            since=self.issued,
        )
        return await find_person(db, self.login_digest())


@lru_cache(maxsize=8)
def _serializer(key: str, salt: str) -> Any:
    """The serializer for this key, cached because the extension creates one for each cookie."""
    return QuartAuth.serializer_class(key, salt)


class _Auth(QuartAuth):
    user_class = Visitor
    serializer_class = staticmethod(_serializer)  # type: ignore[assignment]  # works like a class

    def load_user(self) -> AuthUser:
        """The visitor of the login cookie, read once per request."""
        if not (has_request_context() or has_websocket_context()):
            return self.user_class(None)
        user: AuthUser | None = g.get(self.attribute_name)
        if user is None:
            user = self.resolve_user()
            setattr(g, self.attribute_name, user)
        return user

    def resolve_user(self) -> Visitor:
        """The visitor of a genuine cookie, otherwise an unknown visitor."""
        cookies = request.cookies if has_request_context() else websocket.cookies
        if not cookies:  # Werkzeug raises an exception internally for a missing one
            return Visitor(None)
        cookie = cookies.get(self.cookie_name or "")
        if cookie is not None:
            return self._read(cookie)
        # Under this name only cookies of the previous version are accepted; they all have it.
        cookie = cookies.get(COOKIE)
        visitor = Visitor(None) if cookie is None else self._read(cookie)
        return visitor if visitor.old_cookie else Visitor(None)

    def _read(self, cookie: str) -> Visitor:
        current, *older = signing_keys(current_app)
        visitor = self._visitor(cookie, current)
        for key in older:
            if not visitor.is_known:
                visitor = self._visitor(cookie, key)
                visitor.is_signed_before = True
        return visitor

    def _visitor(self, cookie: str, key: str | bytes) -> Visitor:
        """The visitor of a cookie that this key signed."""
        try:
            # The row determines the age, because the clocks of two machines may differ.
            loads = self.serializer_class(key, self.salt).loads
            auth_id, issued = loads(cookie, return_timestamp=True)
        except BadSignature:
            return Visitor(None)
        visitor = Visitor(auth_id)
        claim = visitor.claim()
        if claim is not None and claim.is_old:
            visitor.old_cookie, visitor.issued = cookie, issued
        return visitor

    async def after_request(self, response: Response) -> Response:  # type: ignore[override]  # ours
        """Set or delete the login cookie, and delete one under the other name."""
        if self.load_user().action is Action.PASS:
            return response
        if self.cookie_name != COOKIE and COOKIE in request.cookies:
            response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Lax")
        await super().after_request(response)
        return response


def init_app(app: Quart, settings: Settings) -> None:
    """Read login cookies, and load the person before each view."""
    auth = _Auth(
        attribute_name=_ATTRIBUTE,
        cookie_secure=settings.cookie_secure,
        cookie_samesite="Lax",
        cookie_name=SECURE_COOKIE if settings.cookie_secure else COOKIE,
        duration=int(LOGIN_LIFE.total_seconds()),
        # Otherwise a synchronous context processor is registered, which uses a thread per page.
        singleton=False,
    )
    auth.init_app(app)
    app.extensions["identity"] = auth
    app.before_request(load_person)


def visitor() -> Visitor:
    """The visitor of the current request. Never queries the database."""
    known: Visitor | None = g.get(_ATTRIBUTE) if has_request_context() else None
    return known or cast(Visitor, _auth().load_user())  # asked for several times per request


def visitor_id() -> str:
    """The visitor's id for an error report; "" if unknown. Never queries the database."""
    caller: int | None = g.get("api_caller_id")  # a program with a token
    if caller is not None:
        return str(caller)
    claim = visitor().claim()
    return str(claim.user_id) if claim else ""


async def load_person() -> None:
    """Load the person of the cookie, for requests that reach the view of a page.

    Unknown addresses and static files do not need it; error pages use the name in the cookie.
    """
    endpoint = request.endpoint
    if endpoint is None or endpoint == "static" or endpoint.partition(".")[0] in _IMPERSONAL:
        return
    person = await visitor().load()
    if person is not None and visitor().is_signed_before:
        update_cookie(person.username)
    # `abs`, because a clock may have been set back.
    if person is not None and abs(utc_now() - person.last_seen) > LAST_SEEN_EVERY:
        await _record_presence(person)


async def _record_presence(person: Person) -> None:
    try:
        await record_presence(db, person, _device())
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
    """The id of the person who is logged in; None for other visitors."""
    person = visitor().person
    return person.id if person else None


async def log_in(user_id: int, username: str, login_epoch: int, *, remember: bool = False) -> bool:
    """Start a login, and set its cookie; with `remember` it outlives the browser's session.

    The session is cleared, so that nothing from before the login is valid in it. Returns False, and
    starts no login, if the person's logins were ended after their `login_epoch` was read.
    """
    claim = Claim(user_id, secrets.token_urlsafe(32), remember, username)
    is_started = await start_login(
        db,
        user_id,
        login_epoch,
        digest_of(claim.key),
        _device(),
        remembered=remember,
    )
    if is_started:
        session.clear()
        _auth().login_user(Visitor(str(claim), _writing(claim)))
    return is_started


def update_cookie(username: str) -> None:
    """Sign the login cookie with the current key, with this name; its lifetime does not change.

    Nothing is done for a cookie that is so already. A cookie of the previous version is not
    changed: error pages greet with the old name, and it ends with the key that signed it.
    """
    current = visitor()
    claim = current.claim()
    if claim is None or claim.is_old:
        return
    if claim.username == username and not current.is_signed_before:
        return
    renamed = Visitor(str(claim._replace(username=username)), _writing(claim))
    renamed.person = current.person
    _auth().login_user(renamed)


def _writing(claim: Claim) -> Action:
    return Action.WRITE_PERMANENT if claim.remember else Action.WRITE


def fits_into_next(address: str) -> bool:
    """Whether an address is short enough to return to after a login.

    It is percent-encoded in the response head, which is limited to 4 KB behind a proxy (nginx).
    """
    return len(quote(address)) <= LONGEST_NEXT


async def log_out() -> None:
    """End the login for all copies of its cookie, and delete the cookies of this browser."""
    person = visitor().person
    if person is not None:
        await end_login(db, person.id, person.login_id)
    session.clear()
    _auth().logout_user()


def _device() -> Device:
    agent = request.headers.get("User-Agent", "")[:USER_AGENT_LENGTH]
    return Device(
        request.remote_addr or "", "".join(letter for letter in agent if letter.isprintable())
    )


def _auth() -> QuartAuth:
    return cast(QuartAuth, current_app.extensions["identity"])
