"""Which names announce a secret."""

import re
from functools import lru_cache

HIDDEN = "[hidden]"
"""Stands where a secret was."""

_LONGEST = 200
_WORDS = re.compile(
    "passw|passphrase|pwd|secret|token|key|auth|cookie|session|credential|csrf|xsrf|jwt|bearer|dsn"
    "|private|signature"
)
_WHOLE = re.compile(r"(?:^|[_\W])(?:pass|otp|pin|sid|cvv|ssn)(?:$|[_\W\d])")
_INNOCENT = re.compile(r"author(?!i[sz])|keyword|keyboard|monkey")

_NUMBERS = re.compile(r"passw|pwd|secret|(?:^|[_\W])(?:pass|otp|pin|cvv|ssn)(?:$|[_\W\d])", re.I)

BARE_WORDS = frozenset(
    (
        *("password", "secret", "token", "tokens", "key", "keys", "auth", "cookie", "cookies"),
        *("session", "credential", "csrf", "csrf_token", "access_token", "api_key", "session_id"),
        *("authorization", "set-cookie"),
    )
)
"""Values that only name a secret: hiding them would hide half of every message."""


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is to be hidden.

    It is where password, secret, token, key, auth, cookie, session ... stand anywhere in it, in
    any case; `author` and the like are let through.
    """
    return _is_secret(name[:_LONGEST])


def is_secret_number(name: str) -> bool:
    """Whether a number under this name is a secret too: that of a key or a session counts rows."""
    return bool(_NUMBERS.search(name[:_LONGEST]))


@lru_cache(maxsize=4096)  # a hundred names a report, almost always the same ones
def _is_secret(name: str) -> bool:
    name = _INNOCENT.sub("", name.lower())
    return bool(_WORDS.search(name) or _WHOLE.search(name))
