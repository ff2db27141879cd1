"""The blocks of code in a document, and what a comment before a block says about it.

A comment in its own line, before a block:

    <!-- file: app.py -->             the block is that file, in the folder in which the page runs
    <!-- run -->                      the commands run there, and print what the block shows
    <!-- same as: examples/... -->    the block is that file of docs/, which has a test of its own
    <!-- not run: the reason -->

A comment that begins with a line `<!-- python` holds code that runs at its place and is not shown.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
NAMES = ("README.md", "CONTRIBUTING.md", "quartapp/flasklike/README.md")
PAGES = [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").rglob("*.md"))]

BLOCK = re.compile(
    r"(?:^ *<!-- (?P<comment>[^\n]*) -->\n\n?)?"
    r"^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^(?P=indent)```$"
    r"|^<!-- python\n(?P<hidden>.*?)^-->$"
    r"|(?<=\n\n)(?P<indented>(?: {4}(?![ \d*-])[^\n]*\n)+)",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    """Of the page, where the text begins."""
    language: str
    comment: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def about(self, word: str) -> str | None:
        """What follows this word in the comment; None without it."""
        first, _, rest = self.comment.partition(":")
        return rest.strip() if first == word else None

    @property
    def source(self) -> str:
        """The text, moved down to the line at which the page has it, for tracebacks."""
        return "\n" * (self.line - 1) + self.text

    def commands(self) -> list[str]:
        """The command lines: after a `$` if the block has one, so that the rest is their output."""
        text = re.sub(r"\\\n\s*", " ", self.text)
        if prompts := re.findall(r"^\$ (.*)$", text, re.MULTILINE):
            return prompts
        return [line for line in text.splitlines() if line.strip() and line[0] != "#"]


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [_block(page, text, match) for match in BLOCK.finditer(text)]


def _block(page: Path, text: str, match: re.Match[str]) -> Block:
    kind = next(name for name in ("hidden", "text", "indented") if match[name] is not None)
    line = text.count("\n", 0, match.start(kind)) + 1
    language = "python" if kind == "hidden" else match["language"] or ""
    return Block(page, line, language, match["comment"] or "", dedent(match[kind]))
