"""The session in a signed cookie, and the messages that are flashed in it."""

from collections.abc import Coroutine, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from flask.json.tag import TaggedJSONSerializer as FlaskTaggedJSONSerializer
from itsdangerous import URLSafeTimedSerializer
from quart import Quart, current_app, json, session
from quart.globals import request_ctx
from quart.sessions import NullSession as NullSession
from quart.sessions import SecureCookieSession as SecureCookieSession
from quart.sessions import SecureCookieSessionInterface as QuartSecureCookieSessionInterface
from quart.sessions import SessionInterface as SessionInterface
from quart.sessions import SessionMixin as SessionMixin
from quart.signals import message_flashed
from quart.wrappers.base import BaseRequestWebsocket

from quartapp.flasklike.concurrency.threads import also_sync
from quartapp.flasklike.signals import send_signal


def signing_keys(app: Quart) -> list[str | bytes]:
    """The key of *app* that signs, SECRET_KEY, then those that are only accepted,
    SECRET_KEY_FALLBACKS; [] without a SECRET_KEY.

    A text is one key. Flask takes each letter of it for a key, so a cookie that is signed with a
    single letter would be genuine.
    """
    if not app.secret_key:
        return []
    older: Any = app.config.get("SECRET_KEY_FALLBACKS") or ()
    return [app.secret_key, *([older] if isinstance(older, str | bytes) else older)]


class TaggedJSONSerializer(FlaskTaggedJSONSerializer):
    """Uses the application's JSON provider, where Flask's would need a Flask application."""

    def dumps(self, value: Any) -> str:
        return json.dumps(self.tag(value), separators=(",", ":"))

    def loads(self, value: str) -> Any:
        return self._untag_scan(json.loads(value))


class SecureCookieSessionInterface(QuartSecureCookieSessionInterface):
    """Writes the same cookie as Flask. A signer is made once for each set of keys."""

    serializer = TaggedJSONSerializer()

    def __init__(self) -> None:
        self._signers: WeakKeyDictionary[Quart, tuple[Any, URLSafeTimedSerializer | None]]
        self._signers = WeakKeyDictionary()

    async def open_session(
        self, app: Quart, request: BaseRequestWebsocket
    ) -> SecureCookieSession | None:
        """As Quart's, without an exception inside for each request that has no cookie."""
        if not request.cookies and self.get_signing_serializer(app) is not None:
            return self.session_class()
        return await super().open_session(app, request)

    def get_signing_serializer(self, app: Quart) -> URLSafeTimedSerializer | None:
        """The signer for *app*; None without a secret key."""
        keys = signing_keys(app)
        known = self._signers.get(app)
        if known is None or known[0] != keys:
            known = self._signers[app] = (keys, self._signer(keys))
        return known[1]

    def _signer(self, keys: list[str | bytes]) -> URLSafeTimedSerializer | None:
        if not keys:
            return None
        return URLSafeTimedSerializer(
            keys[::-1],  # type: ignore[arg-type]  # they may be mixed; the last one signs
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={
                "key_derivation": self.key_derivation,
                "digest_method": self.digest_method,
            },
        )


def flash(message: str, category: str = "message") -> Coroutine[Any, Any, None]:
    """Keep *message* for the next page that shows messages.

    That is done when this returns. Awaited, or called by a synchronous function, it also sends
    `message_flashed`.
    """
    flashes = session.get("_flashes", [])
    flashes.append((category, message))
    session["_flashes"] = flashes
    return _send_flashed(message, category)


@also_sync
async def _send_flashed(message: str, category: str) -> None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy
    await send_signal(message_flashed, app, message=message, category=category)


def get_flashed_messages(
    with_categories: bool = False, category_filter: Iterable[str] = ()
) -> list[Any]:
    """Take the messages out of the session. Every call in a request returns the same.

    With categories they are pairs of category and message. Without a secret key there are none.
    """
    context: Any = request_ctx
    if context.flashes is None:
        context.flashes = session.pop("_flashes") if "_flashes" in session else []
    flashes: list[tuple[str, str]] = context.flashes
    wanted = tuple(category_filter)
    if wanted:
        flashes = [flash for flash in flashes if flash[0] in wanted]
    return list(flashes) if with_categories else [message for _, message in flashes]
