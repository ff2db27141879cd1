"""Who may see a traceback, and who may type into it.

A prompt runs code on the developer's machine: each of these checks stands on its own, and a
command needs all of them. The PIN and the host check are Werkzeug's.
"""

import asyncio
import hmac
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from werkzeug.http import parse_cookie
from werkzeug.sansio.utils import host_is_trusted

from quartapp.sockets import is_loopback

HEADER = "x-debugger-secret"
MAX_TRIES = 10
FAILURE_DELAY = 0.5
"""Seconds before the answer to a wrong PIN."""

TRUST_SECONDS = 7 * 24 * 60 * 60
_FORWARDING = frozenset({"forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip"})


@dataclass(frozen=True)
class Caller:
    """What a request tells about where it came from."""

    peer: str
    headers: Mapping[str, str]

    @classmethod
    def from_scope(cls, scope: Mapping[str, Any]) -> "Caller":
        """From an ASGI scope. A header that is given twice counts as both, joined by commas."""
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
        """Whether it came from this machine, and from no proxy that runs here."""
        forwarded = any(n in _FORWARDING or n.startswith("x-forwarded") for n in self.headers)
        return is_loopback(self.peer) and not forwarded

    @property
    def is_same_origin(self) -> bool:
        """Whether the page it came from is this server's, as far as the browser tells."""
        site = self.headers.get("sec-fetch-site", "same-origin")
        origin = self.headers.get("origin")
        return site == "same-origin" and (
            origin is None or origin in {f"http://{self.host}", f"https://{self.host}"}
        )


@dataclass
class Access:
    """The checks, and what they compare with.

    `key` signs the cookie of an unlocked browser. The reloader hands the same one to each process
    it starts, so that an edit does not lock the page; `secret` is new in each process.
    """

    port: int
    pin: str | None
    evalex: bool = True
    trusted_hosts: Sequence[str] = ()
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    failures: int = 0

    def trusts_host(self, caller: Caller) -> bool:
        """Whether the name in the browser's address bar is one of ours (no DNS rebinding)."""
        hosts = [".localhost", "127.0.0.1", "[::1]", *self.trusted_hosts]
        if caller.host.startswith("["):  # Werkzeug takes the first colon for that of a port
            address, bracket, _port = caller.host.partition("]")
            return address + bracket in hosts
        return host_is_trusted(caller.host, hosts)

    def offers_prompt(self, caller: Caller) -> bool:
        """Whether a page for this caller gets the secret, without which no command is taken."""
        return self.evalex and caller.is_local and self.trusts_host(caller)

    def knows_secret(self, caller: Caller) -> bool:
        given = caller.headers.get(HEADER, "").encode()
        return hmac.compare_digest(given, self.secret.encode())

    @property
    def cookie_name(self) -> str:
        # Browsers keep one jar for all ports of a host.
        return f"debugger_{self.port}"

    @property
    def is_exhausted(self) -> bool:
        return self.failures >= MAX_TRIES

    def is_unlocked(self, caller: Caller) -> bool:
        if self.pin is None:
            return True
        cookie = parse_cookie(caller.headers.get("cookie", "")).get(self.cookie_name, "")
        made, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(made).encode()):
            return False
        return time.time() - TRUST_SECONDS < int(made)

    async def unlock(self, pin: str) -> str | None:
        """The Set-Cookie of a browser that knows the PIN, or None.

        A wrong one is answered after a pause, during which the server works on. After
        MAX_TRIES wrong ones the right one is refused too, until the server is restarted.
        """
        right = (self.pin or "").replace("-", "").encode()
        given = pin.strip().replace("-", "").encode()
        if self.is_exhausted or not hmac.compare_digest(given, right):
            # Counted before the pause: tries at the same time are tries too.
            self.failures += 1
            await asyncio.sleep(FAILURE_DELAY)
            return None
        self.failures = 0
        made = str(int(time.time()))
        return (
            f"{self.cookie_name}={made}.{self._sign(made)}; Path=/; Max-Age={TRUST_SECONDS}; "
            "HttpOnly; SameSite=Strict"
        )

    def _sign(self, made: str) -> str:
        return hmac.new(self.key, f"{self.port}|{made}".encode(), "sha256").hexdigest()


def machine_pin(name: str) -> str | None:
    """Werkzeug's PIN for an application of this name on this machine.

    It is the same after a restart; WERKZEUG_DEBUG_PIN sets another, or `off` for none.
    """
    # Importing werkzeug.debug replaces the display hook of the process.
    displayhook = sys.displayhook
    try:
        from werkzeug.debug import get_pin_and_cookie_name
    finally:
        sys.displayhook = displayhook
    application: Any = SimpleNamespace(__module__=name, __name__=name)
    return get_pin_and_cookie_name(application)[0]
