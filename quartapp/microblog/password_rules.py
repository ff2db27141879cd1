"""Which passwords may be chosen: those that are not guessed first (NIST SP 800-63B, 5.1.1.2)."""

import re
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

SHORTEST = 8

COMMON = 10_000
"""How many of the most common passwords are refused."""

_SITE = ("microblog", "quartapp")

_SHORTEST_NAME = 3
"""Shorter names are parts of too many words."""

_SEPARATORS = re.compile(r"[\W_]+")


def password_fault(password: str, *names: str) -> str | None:
    """Why a password cannot be chosen, as a sentence that says what to do; None if it can.

    `names` are what others know of the person: username and mail address.
    """
    if len(password) < SHORTEST:
        return f"Please use at least {SHORTEST} characters; these are {len(password)}."
    folded = password.casefold()
    if len(set(folded)) == 1:
        return "Please use different characters, not one that is repeated."
    if folded in common_passwords():
        return (
            "This is one of the most common passwords, which are tried first. "
            "Please use a different one."
        )
    rest = folded
    for word in sorted(_words(names), key=len, reverse=True):
        rest = rest.replace(word, "").replace(word[::-1], "")
    if len(rest) < min(SHORTEST, len(folded)):
        return (
            "This password is made of your name or address, or of this site's name. "
            "Please use a different one."
        )
    return None


@cache
def common_passwords() -> frozenset[str]:
    """The most common passwords that are not too short. The first call reads the library's list."""
    common = _frequency_lists()["passwords"][:COMMON]
    return frozenset(password for password in common if len(password) >= SHORTEST)


def _frequency_lists() -> dict[str, list[str]]:
    """The lists of zxcvbn, without importing the package, which would keep all of them: 14 MB."""
    package = find_spec("zxcvbn")
    assert package
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "frequency_lists.py"
    spec = spec_from_file_location("zxcvbn_frequency_lists", path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    lists: dict[str, list[str]] = module.FREQUENCY_LISTS
    return lists


def _words(names: tuple[str, ...]) -> set[str]:
    words = {*_SITE}
    for name in names:
        local, _, domain = name.casefold().partition("@")
        words |= {name.casefold(), local, _SEPARATORS.sub("", local), domain.partition(".")[0]}
    return {word for word in words if len(word) >= _SHORTEST_NAME}
