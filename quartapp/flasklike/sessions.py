"""The session in a signed cookie."""

from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from flask.json.tag import TaggedJSONSerializer
from itsdangerous import URLSafeTimedSerializer
from quart import Quart, json, session
from quart.globals import request_ctx
from quart.sessions import SecureCookieSessionInterface as QuartSecureCookieSessionInterface


class _Serializer(TaggedJSONSerializer):
    """Writes with the application's JSON provider; Flask's looks for a Flask application."""

    def dumps(self, value: Any) -> str:
        return json.dumps(self.tag(value), separators=(",", ":"))

    def loads(self, value: str) -> Any:
        return self._untag_scan(json.loads(value))


class SecureCookieSessionInterface(QuartSecureCookieSessionInterface):
    """Writes the cookie that Flask writes; a signer is made once for each set of keys."""

    serializer = _Serializer()

    def __init__(self) -> None:
        self._signers: WeakKeyDictionary[Quart, tuple[Any, URLSafeTimedSerializer | None]]
        self._signers = WeakKeyDictionary()

    def get_signing_serializer(self, app: Quart) -> URLSafeTimedSerializer | None:
        """What signs for *app*, None without a secret key."""
        keys = (app.secret_key, tuple(app.config["SECRET_KEY_FALLBACKS"] or ()))
        known = self._signers.get(app)
        if known is None or known[0] != keys:
            known = self._signers[app] = (keys, super().get_signing_serializer(app))
        return known[1]


def get_flashed_messages(
    with_categories: bool = False, category_filter: Iterable[str] = ()
) -> list[Any]:
    """Take the messages out of the session; the same for every call in a request.

    With categories they are pairs of category and message. Works without a secret key, where there
    can be no messages.
    """
    context: Any = request_ctx
    if context.flashes is None:
        context.flashes = session.pop("_flashes") if "_flashes" in session else []
    flashes: list[tuple[str, str]] = context.flashes
    wanted = tuple(category_filter)
    if wanted:
        flashes = [flash for flash in flashes if flash[0] in wanted]
    return list(flashes) if with_categories else [message for _, message in flashes]
