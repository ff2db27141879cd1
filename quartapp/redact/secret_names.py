"""Which names announce a secret, or the mail address of a person."""

import re
from functools import lru_cache

HIDDEN = "[hidden]"
"""Replaces a secret."""

_LONGEST = 200
_WORDS = re.compile(
    "passw|passphrase|passcode|pincode|pwd|pswd|pwhash|userpass|kennwort|mot_de_passe|secret|token"
    "|key|auth|cookie|session|credential|csrf|xsrf|jwt|bearer|dsn|conn_?str|connection_string"
    "|private|signature|recovery_code|backup_code|webhook_?url"
)
_WHOLE = re.compile(
    r"(?:^|[_\W])(?:pass|pw|psw|creds|t?otp|pin|sid|sig|cvv|cvc|ssn|seed|iban)(?:$|[_\W\d])"
    r"|pw\d*$"
)
_MAIL = re.compile(r"(?:\w*[_-])?e?[_-]?mail(?:[_-]?addr(?:ess)?)?\d?")
_INNOCENT = re.compile(r"author(?!i[sz])|keyword|keyboard|monkey")

_NUMBERS = re.compile(
    r"passw|passcode|pincode|pwd|secret|(?:^|[_\W])(?:pass|pw|psw|t?otp|pin|cvv|cvc|ssn)(?:$|[_\W\d])",
    re.I,
)


NOTHING, ADDRESS, EVERYTHING = 0, 1, 2
"""What is hidden under a name. ADDRESS is what holds an @: the mail address of a person, which says
who it was and not what happened."""

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
    return hides(name) == EVERYTHING


def hides(name: str) -> int:
    """What is hidden of a value under this name, and wherever else that value is: NOTHING, ADDRESS
    or EVERYTHING."""
    return _hides(name[:_LONGEST])


def is_secret_number(name: str) -> bool:
    """Whether a number under this name is a secret; under `key` or `session` it is the id of a
    row."""
    return bool(_NUMBERS.search(name[:_LONGEST]))


@lru_cache(maxsize=4096)  # a hundred names per report, almost always the same
def _hides(name: str) -> int:
    name = name.lower()
    innocent = _INNOCENT.sub("", name)
    if _WORDS.search(innocent) or _WHOLE.search(innocent):
        return EVERYTHING
    return ADDRESS if _MAIL.fullmatch(name) else NOTHING
