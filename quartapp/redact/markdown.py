"""Markdown from any texts: none of them can end its span or block, or be markup."""

import re
from collections.abc import Iterable


def joined(blocks: Iterable[str], limit: int) -> str:
    """The blocks that fit, in order, with an empty line between two; at most `limit` bytes of
    UTF-8, of which 100 are for the number of those left out."""
    text, left_out = "", 0
    for block in filter(None, blocks):
        longer = f"{text}\n{block}\n" if text else f"{block}\n"
        if len(longer.encode()) > limit - 100:
            left_out += 1
        else:
            text = longer
    return f"{text}\n({left_out} parts left out)\n" if left_out else text


def fenced(text: str) -> str:
    """A block of code that no line of the text can end."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def code(text: str) -> str:
    """A span of code that nothing in the text can end; "" without text."""
    text = " ".join(text.split())
    if not text:
        return ""
    fence = "`" * (_longest_run(text) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
