"""Where alerts are posted to: the address of a webhook, and the key that signs what is posted."""

import ssl
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

_SECRET_COMMAND = (
    "python -c 'import base64, secrets;"
    ' print("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())\''
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where messages are posted to. `target` is the path, which is a secret.

    `key` signs the messages. `context` replaces the default one, which trusts the authorities of
    the system. `scrub` removes secrets from the words of the server.
    """

    host: str
    port: int
    target: str = field(default="/", repr=False)
    tls: bool = True
    key: bytes = field(default=b"", repr=False)
    allows_private: bool = False
    context: ssl.SSLContext | None = field(default=None, repr=False)
    scrub: Callable[[str], str] = field(default=str, repr=False)

    @classmethod
    def of(cls, url: str, **more: Any) -> Self:
        """The endpoint of an address, without a user and a password. Raises ValueError."""
        parts = urlsplit(url)
        host, tls = parts.hostname or "", parts.scheme == "https"
        is_whole = host and parts.scheme in {"https", "http"} and "@" not in parts.netloc
        if not is_whole or not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("expected an address such as https://example.com/hook")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(host, parts.port or (443 if tls else 80), target, tls, **more)

    @property
    def authority(self) -> str:
        """The value of the header field Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def key_of(secret: str) -> bytes:
    """The key that a secret such as "whsec_MfKQ9r8..." holds. Raises ValueError."""
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not 24 <= len(key) <= 64:  # the limits of Standard Webhooks
        raise ValueError(
            f"expected whsec_ and 24 to 64 random bytes in base64; make one with: {_SECRET_COMMAND}"
        )
    return key
