"""Text that is fit for a terminal and for a page."""

import logging
import re

# C0 and C1 controls but tab and newline; a terminal would obey them. The bidirectional overrides
# make source read as what it is not.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    r"""Control characters and lone surrogates as escapes (`\x1b`): visible, and without effect."""
    text = _CONTROLS.sub(_escape, text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def bounded(text: str, limit: int) -> str:
    """At most about `limit` characters, saying how many were left out."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


class CleanFormatter(logging.Formatter):
    """Another formatter's text, made fit for a terminal."""

    def __init__(self, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self._formatter = formatter or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        return clean(self._formatter.format(record))
