"""Who may see a traceback, and who may type into it.

A prompt runs code on the developer's machine. A command must pass every one of these checks; none
relies on another. The PIN and the host check are Werkzeug's, the cookie is signed by itsdangerous.
"""

import asyncio
import hmac
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from itsdangerous import TimestampSigner
from werkzeug.http import parse_cookie
from werkzeug.sansio.utils import host_is_trusted

from quartapp.sockets import is_loopback

HEADER = "x-debugger-secret"
MAX_TRIES = 10
FAILURE_DELAY = 0.5
"""Seconds before the answer to a wrong PIN."""

TRUST_SECONDS = 7 * 24 * 60 * 60
"""For how long a browser stays unlocked."""

_FORWARDING = frozenset({"forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip"})


@dataclass(frozen=True)
class Caller:
    """What a request says about where it came from."""

    peer: str
    headers: Mapping[str, str]

    @classmethod
    def from_scope(cls, scope: Mapping[str, Any]) -> "Caller":
        """From an ASGI scope. The values of a repeated header are joined, as in one header."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope.get("headers", ()):
            name, value = raw_name.decode("latin1").lower(), raw_value.decode("latin1")
            joint = "; " if name == "cookie" else ", "
            headers[name] = headers[name] + joint + value if name in headers else value
        return cls((scope.get("client") or ("",))[0], headers)

    @property
    def host(self) -> str:
        return self.headers.get("host", "")

    @property
    def is_local(self) -> bool:
        """Whether it came from this machine directly, and not through a proxy that runs here."""
        forwarded = any(n in _FORWARDING or n.startswith("x-forwarded") for n in self.headers)
        return is_loopback(self.peer) and not forwarded

    @property
    def is_same_origin(self) -> bool:
        """Whether this server's own page sent it, as far as the browser says."""
        site = self.headers.get("sec-fetch-site", "same-origin")
        origin = self.headers.get("origin")
        return site == "same-origin" and (
            origin is None or origin in {f"http://{self.host}", f"https://{self.host}"}
        )


@dataclass
class Access:
    """The checks, and the values they compare with.

    `key` signs the cookie of an unlocked browser. The reloader passes the same key to each process
    it starts, so that an edit does not lock the page. `secret` is new in each process. With
    `local_only`, callers on other machines are not even shown the source.
    """

    port: int
    pin: str | None
    evalex: bool = True
    local_only: bool = False
    trusted_hosts: Sequence[str] = ()
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    wrong_pins: int = 0

    def trusts_host(self, caller: Caller) -> bool:
        """Whether the request names this server: a foreign name may be bound to our address (DNS
        rebinding), and then a page of that name could read the answer."""
        hosts = [".localhost", "127.0.0.1", "[::1]", *self.trusted_hosts]
        if caller.host.startswith("["):  # Werkzeug reads its first colon as the port's
            address, bracket, _port = caller.host.partition("]")
            return address + bracket in hosts
        return host_is_trusted(caller.host, hosts)

    def shows_source(self, caller: Caller) -> bool:
        """Whether this caller is shown a traceback."""
        return self.trusts_host(caller) and (caller.is_local or not self.local_only)

    def offers_prompt(self, caller: Caller) -> bool:
        """Whether the page for this caller contains the secret that each command needs."""
        return self.evalex and caller.is_local and self.trusts_host(caller)

    def knows_secret(self, caller: Caller) -> bool:
        given = caller.headers.get(HEADER, "").encode()
        return hmac.compare_digest(given, self.secret.encode())

    @property
    def cookie_name(self) -> str:
        # Browsers send a cookie to all ports of a host.
        return f"debugger_{self.port}"

    @property
    def is_exhausted(self) -> bool:
        return self.wrong_pins >= MAX_TRIES

    def is_unlocked(self, caller: Caller) -> bool:
        if self.pin is None:
            return True
        cookie = parse_cookie(caller.headers.get("cookie", "")).get(self.cookie_name, "")
        return self._signer.validate(cookie, max_age=TRUST_SECONDS)

    async def unlock(self, pin: str) -> str | None:
        """The Set-Cookie header for a browser that knows the PIN, or None.

        A wrong PIN is answered after a pause, which does not stop other requests. After
        MAX_TRIES wrong PINs the right one is refused too, until the server is restarted.
        """
        right = (self.pin or "").replace("-", "").encode()
        given = pin.strip().replace("-", "").encode()
        if self.is_exhausted or not hmac.compare_digest(given, right):
            # Counted before the pause, so that simultaneous tries count too.
            self.wrong_pins += 1
            await asyncio.sleep(FAILURE_DELAY)
            return None
        self.wrong_pins = 0
        cookie = self._signer.sign("unlocked").decode()
        return (
            f"{self.cookie_name}={cookie}; Path=/; Max-Age={TRUST_SECONDS}; "
            "HttpOnly; SameSite=Strict"
        )

    @property
    def _signer(self) -> TimestampSigner:
        # The salt binds a cookie to the port and the PIN for which it was made.
        return TimestampSigner(
            self.key, salt=f"debugger|{self.port}|{self.pin}", digest_method=sha256
        )


def machine_pin(name: str) -> str | None:
    """Werkzeug's PIN for an application of this name on this machine.

    It is the same after a restart. WERKZEUG_DEBUG_PIN sets another; `off` makes it None.
    """
    # Importing werkzeug.debug replaces the display hook of the process.
    displayhook = sys.displayhook
    try:
        from werkzeug.debug import get_pin_and_cookie_name
    finally:
        sys.displayhook = displayhook
    application: Any = SimpleNamespace(__module__=name, __name__=name)
    return get_pin_and_cookie_name(application)[0]
