"""Which names announce a secret."""

import re
from functools import lru_cache

HIDDEN = "[hidden]"
"""Replaces a secret."""

_LONGEST = 200
_WORDS = re.compile(
    "passw|passphrase|pwd|secret|token|key|auth|cookie|session|credential|csrf|xsrf|jwt|bearer|dsn"
    "|private|signature"
)
_WHOLE = re.compile(r"(?:^|[_\W])(?:pass|otp|pin|sid|cvv|ssn)(?:$|[_\W\d])")
_INNOCENT = re.compile(r"author(?!i[sz])|keyword|keyboard|monkey")

_NUMBERS = re.compile(r"passw|pwd|secret|(?:^|[_\W])(?:pass|otp|pin|cvv|ssn)(?:$|[_\W\d])", re.I)

BARE_WORDS = {
    "password",
    "secret",
    "token",
    "tokens",
    "key",
    "keys",
    "auth",
    "cookie",
    "cookies",
    "session",
    "credential",
    "csrf",
    "csrf_token",
    "access_token",
    "api_key",
    "session_id",
    "authorization",
    "set-cookie",
}
"""Values that only name a secret: hiding them would hide half of every message."""


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is to be hidden.

    It is if it contains password, secret, token, key, auth, cookie, session ... in upper or lower
    case; `author` and similar words are excepted.
    """
    return _is_secret(name[:_LONGEST])


def is_secret_number(name: str) -> bool:
    """Whether a number under this name is a secret; under `key` or `session` it is the id of a
    row."""
    return bool(_NUMBERS.search(name[:_LONGEST]))


@lru_cache(maxsize=4096)  # a hundred names per report, almost always the same
def _is_secret(name: str) -> bool:
    name = _INNOCENT.sub("", name.lower())
    return bool(_WORDS.search(name) or _WHOLE.search(name))
