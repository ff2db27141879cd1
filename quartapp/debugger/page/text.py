"""Text that is safe to show in a terminal and in a page."""

import logging
import re

# C0 and C1 controls except tab and newline: a terminal would obey them. Bidirectional overrides
# make source look like other source.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    r"""Replace control characters and lone surrogates by visible escapes, such as `\x1b`."""
    text = _CONTROLS.sub(_escape, text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def bounded(text: str, limit: int) -> str:
    """At most about `limit` characters: the beginning, how many were left out, and the end."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


class CleanFormatter(logging.Formatter):
    """Another formatter's text, made safe for a terminal."""

    def __init__(self, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self._formatter = formatter or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        return clean(self._formatter.format(record))
