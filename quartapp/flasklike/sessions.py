"""The session in a signed cookie."""

from typing import Any
from weakref import WeakKeyDictionary

from flask.json.tag import TaggedJSONSerializer
from itsdangerous import URLSafeTimedSerializer
from quart import Quart, json
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
