"""The rules for texts before they are stored, shared by pages and API."""

import re
import unicodedata

from quartapp.database.types import is_storable

# Decoders of Python and browsers replace bytes that are not UTF-8 by this.
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

NOT_UTF8 = "This is not valid UTF-8 text."

_LINE_ENDS = re.compile(r"\r\n?")
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*\n")


def normalized(text: str) -> str:
    """The text in NFC, with runs of white space replaced by one space.

    Otherwise two different names could look the same.
    """
    return unicodedata.normalize("NFC", " ".join(text.split()))


def paragraphs(text: str) -> str:
    """The text with `\\n` as line ends, stripped, with at most one empty line between paragraphs.

    Browsers send `\\r\\n` and count it as one character. A limit on the returned text does so, too.
    """
    return _BLANK_LINES.sub("\n\n", _LINE_ENDS.sub("\n", text)).strip()


def email_address(text: str) -> str:
    """The address with its domain, which is case-insensitive, in lower case."""
    name, at, domain = text.strip().rpartition("@")
    return f"{name}{at}{domain.lower()}"


def text_fault(text: str) -> str | None:
    """Why a text cannot be stored, as a sentence for the person who typed it; None if it can."""
    if _REPLACEMENT in text or not is_storable(text.replace("\0", "")):
        return NOT_UTF8
    if any(
        unicodedata.category(character) == "Cc" for character in text if character not in "\n\t"
    ):
        return "Control characters are not allowed here."
    return None


def username_fault(username: str) -> str | None:
    """As `text_fault`, for a username, which must fit into a path and have no hidden parts."""
    if fault := text_fault(username):
        return fault
    if not username.isprintable():
        return "A username must not contain invisible characters."
    if "/" in username or "\\" in username or username in {".", ".."}:
        return "A username must not contain slashes, nor be a single or double dot."
    return None
