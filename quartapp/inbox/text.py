"""Hostile text made visible: a reader sees the characters of which it is made.

Every text that a template shows passes `visible` (see `pages`), then is escaped. It may still be
long or have many lines; `one_line` is for what belongs into one.
"""

import re

from quartapp.reporting.counting.aggregate import MOST_PEOPLE

# Printable for Python, and yet blank or invisible: fillers of Hangul and Khmer, the joiner of
# graphemes, selectors of variants, the blank of Braille.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_KEPT = frozenset("\n\t")


def visible(text: str) -> str:
    r"""A text in which what is invisible or changes the reading direction is an escape.

    `\u202e` for RIGHT-TO-LEFT OVERRIDE, `\x1b` for ESC. Line feeds and tabs stay.
    """
    if text.isprintable() and not _BLANK.search(text):
        return text
    return "".join(
        c if c in _KEPT or (c.isprintable() and not _BLANK.match(c)) else _escape(c) for c in text
    )


def number_of_people(number: int) -> str:
    """How many people an error has met: "1,000+" where no more of them are counted."""
    return f"{number:,}+" if number >= MOST_PEOPLE else str(number)


def one_line(text: str, limit: int = 200) -> str:
    """The beginning of a text as one line."""
    line = " ".join(text[: limit * 4].split())
    return visible(line if len(line) <= limit and len(text) <= limit * 4 else f"{line[:limit]}…")


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
