"""What a text must be before it is kept: rules for every way in, pages and API alike."""

import re
import unicodedata

from quartapp.database.types import is_storable

# What Python's and browsers' decoders put in the place of bytes that are no UTF-8.
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

NOT_UTF8 = "This is not valid UTF-8 text."

_LINE_ENDS = re.compile(r"\r\n?")
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*\n")


def one_line(text: str) -> str:
    """Runs of white space become one space, and letters with marks one character where possible.

    Names that look the same would be different people otherwise.
    """
    return unicodedata.normalize("NFC", " ".join(text.split()))


def paragraphs(text: str) -> str:
    """Line ends as `\\n`, nothing at the ends, at most one empty line between two paragraphs.

    Browsers send `\\r\\n` and count it as one character; so does a limit on what this returns.
    """
    return _BLANK_LINES.sub("\n\n", _LINE_ENDS.sub("\n", text)).strip()


def email_address(text: str) -> str:
    """The address with the part behind the @, which is the same in any case, in lower case."""
    name, at, domain = text.strip().rpartition("@")
    return f"{name}{at}{domain.lower()}"


def text_fault(text: str) -> str | None:
    """Why a text cannot be kept, as a sentence for whoever typed it; None where it can."""
    if _REPLACEMENT in text or not is_storable(text.replace("\0", "")):
        return NOT_UTF8
    if any(
        unicodedata.category(character) == "Cc" for character in text if character not in "\n\t"
    ):
        return "Control characters are not allowed here."
    return None


def username_fault(username: str) -> str | None:
    """As `text_fault`, for a username: it must be a part of an address and be seen whole."""
    if fault := text_fault(username):
        return fault
    if not username.isprintable():
        return "A username must not contain invisible characters."
    if "/" in username or "\\" in username or username in {".", ".."}:
        return "A username must not contain slashes, nor be a single or double dot."
    return None
