"""Which usernames may be chosen, and which of them look like one another.

Two names are the same to people who read them if they differ in case, or in characters that look
alike (Unicode Technical Standard 39). `keys_of` makes the two texts by which names are compared;
docs/decisions/0112 says why it takes two.
"""

import json
import re
import unicodedata
from functools import cache
from importlib.resources import files
from typing import NamedTuple

KEY_LENGTH = 255
"""In characters. NFKC can make a name eighteen times longer; what is cut off only makes more names
the same."""

# fmt: off
RESERVED = frozenset((
    "abuse", "admin", "administrator", "anonymous", "billing", "contact", "deleted", "helpdesk",
    "hostmaster", "info", "mailerdaemon", "microblog", "moderator", "moderators", "noreply", "null",
    "official", "operator", "owner", "postmaster", "quartapp", "root", "security", "staff",
    "superuser", "support", "sysadmin", "system", "team", "undefined", "verified", "webmaster",
))
# fmt: on
"""Names by which a person could speak for the site."""

# Characters that show nothing and that `str.isprintable` lets pass: those of the property
# Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt), and the empty Braille pattern.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)

# What is added to a reserved name without making it a different one: "admin_1", "the-support".
_ADDED = re.compile(r"[\W_]+|\d+$")


class NameKeys(NamedTuple):
    """Names are taken for each other if one of these is equal.

    `skeleton` is what the name looks like, `folded_skeleton` what it looks like in small letters.
    """

    skeleton: str
    folded_skeleton: str


def name_fault(username: str) -> str | None:
    """Why a new name cannot be chosen, as a sentence; None if it can, unless somebody has it."""
    if _BLANK.search(username):
        return "A username must not contain invisible characters."
    if unicodedata.category(username[:1] or " ").startswith("M"):
        return "A username must not begin with a mark that belongs to a letter before it."
    return None


def new_name_fault(username: str) -> str | None:
    """As `name_fault`, for people who register or change their name: some names are reserved."""
    if fault := name_fault(username):
        return fault
    if is_reserved(username):
        return "This username is reserved. Please use a different one."
    return None


def is_reserved(username: str) -> bool:
    """Whether a name could be taken for that of the site's operators."""
    bare = _ADDED.sub("", unicodedata.normalize("NFKC", username))
    return not _reserved_keys().isdisjoint(_strict_keys(bare.removeprefix("the")))


def keys_of(username: str) -> NameKeys:
    """The texts by which a name is compared. The name must be bounded: this takes quadratic time.

    Case and likeness do not commute. "aIice" looks like "alice" only before its case is folded;
    Cyrillic capitals look like Latin ones, and their small letters like none.
    """
    text = unicodedata.normalize("NFKC", username)
    return NameKeys(
        _skeleton(text).casefold()[:KEY_LENGTH], _skeleton(text.casefold())[:KEY_LENGTH]
    )


def _skeleton(text: str) -> str:
    """The `skeleton` of UTS 39, section 4."""
    prototypes = _prototypes()
    decomposed = _BLANK.sub("", unicodedata.normalize("NFD", text))
    replaced = "".join(prototypes.get(character, character) for character in decomposed)
    return unicodedata.normalize("NFD", replaced)


def _strict_keys(name: str) -> set[str]:
    return {key.replace("i", "l") for key in keys_of(name)}  # "1" and "I" look like "l"


@cache
def _reserved_keys() -> frozenset[str]:
    return frozenset().union(*map(_strict_keys, RESERVED))


@cache
def _prototypes() -> dict[str, str]:
    """For each character that looks like others, the one that stands for all of them."""
    # Only its data: the library would keep it and more, 17 MB instead of 1.
    data = files("confusable_homoglyphs").joinpath("confusables.json").read_text("utf-8")
    alike = {
        _bare(text): {_bare(other["c"]) for other in others}
        for text, others in json.loads(data).items()
    }
    chosen = {
        text: _prototype(text, others, alike) for text, others in alike.items() if len(text) == 1
    }
    return {text: prototype for text, prototype in chosen.items() if text != prototype}


def _prototype(text: str, others: set[str], alike: dict[str, set[str]]) -> str:
    # The library lists both directions of Unicode's table, in which a character has one prototype,
    # and a prototype has none.
    if len(others) > 1:
        return text
    [other] = others
    if len(other) > 1 or len(alike[other]) > 1:
        return other
    return min(text, other)


def _bare(text: str) -> str:
    """Letters from right to left have marks around them in the table."""
    return text.replace("\u200e", "")
