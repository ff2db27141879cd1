"""The tokens in the links of account mails: signed, for a purpose, for a time, and used once.

A token holds a digest of what it would change. When that has changed, by this link or otherwise,
the token is worth nothing; so no table of used tokens is needed.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b, sha256
from hmac import compare_digest
from typing import NamedTuple

from itsdangerous import BadData, URLSafeSerializer

from quartapp.microblog.models.account import Account
from quartapp.microblog.models.base import utc_now

LONGEST_TOKEN = 500
"""In characters. A token has about 150, and one with a mail address up to 400."""

_CLOCKS_DIFFER = timedelta(minutes=1)


class Purpose(StrEnum):
    """What a link is for; a token of one purpose is no token of another."""

    RESET_PASSWORD = "reset-password"
    CONFIRM_EMAIL = "confirm-email"
    CHANGE_EMAIL = "change-email"


LIFE = {
    Purpose.RESET_PASSWORD: timedelta(hours=1),
    Purpose.CONFIRM_EMAIL: timedelta(days=3),
    Purpose.CHANGE_EMAIL: timedelta(days=1),
}
"""How long the link of a mail is valid, from the moment at which the mail is sent."""


class Claim(NamedTuple):
    """What a genuine token says: about whom, in which state, and the new address if it has one."""

    user_id: int
    state: str
    address: str = ""


class Links:
    """Signs and reads tokens with the keys of one application; the first one signs."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys
        self._digest_keys = [sha256(f"account states {key}".encode()).digest() for key in keys]

    def sign(self, purpose: Purpose, account: Account, address: str = "") -> str:
        """A token that is valid from now on for its LIFE, while the account's state is the same."""
        state = _digest(self._digest_keys[0], purpose, account)
        claim = Claim(account.id, state, address)
        return self._serializer(purpose).dumps([*claim, int(utc_now().timestamp())])

    def read(self, purpose: Purpose, token: str) -> Claim | None:
        """What a token says; None if it is forged, too old, from the future or for another purpose.

        Whether the state is still the same remains to be compared: see `is_of`.
        """
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            user_id, state, address, issued = self._serializer(purpose).loads(token)
        except BadData:
            return None
        age = utc_now() - datetime.fromtimestamp(issued, utc_now().tzinfo)
        # A clock that was set back must not make a link valid for years.
        return Claim(user_id, state, address) if -_CLOCKS_DIFFER <= age <= LIFE[purpose] else None

    def is_of(self, purpose: Purpose, claim: Claim, account: Account) -> bool:
        """Whether a token is about this account as it is now."""
        return claim.user_id == account.id and any(
            compare_digest(claim.state, _digest(key, purpose, account)) for key in self._digest_keys
        )

    def _serializer(self, purpose: Purpose) -> URLSafeSerializer:
        return URLSafeSerializer(
            self._keys[::-1],  # the last one signs
            salt=f"account {purpose}",
            signer_kwargs={"digest_method": sha256},
        )


def _digest(key: bytes, purpose: Purpose, account: Account) -> str:
    """A short text that changes when the state does, and that tells nothing about it.

    A new password also ends a link for another address: somebody who knew the old one may have
    asked for it.
    """
    state = [account.email]
    if purpose is not Purpose.CONFIRM_EMAIL:
        state.append(account.password_hash)
    text = "\0".join(state).encode()
    return blake2b(text, key=key, digest_size=16).hexdigest()
