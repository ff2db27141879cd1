"""Secrets out of whatever is kept or sent."""

from collections.abc import Iterable

HIDDEN = "[hidden]"


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is to be hidden: password, token, key, cookie ... in it."""
    raise NotImplementedError


class Scrubber:
    """Takes secrets out of texts.

    `known` values go wherever they stand, raw, escaped, quoted or in base64, and so does what has
    the shape of a secret (JWT, Bearer, PEM, user:pass@ URLs, `password=...`).
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        raise NotImplementedError

    def text(self, text: str) -> str:
        """One text without secrets; for log files and terminals too. Never raises."""
        raise NotImplementedError
