"""What the tool tells: a place in a file, and what is to be done there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from quartapp.flasklike.port.program import Module


@dataclass(frozen=True, order=True)
class Finding:
    """One line of the output."""

    path: Path
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.text}"


def located(module: Module, found: list[tuple[cst.CSTNode, str]]) -> Iterator[Finding]:
    """The findings of one file, in its order; positions are looked up only where there are any."""
    if not found:
        return
    positions = MetadataWrapper(module.tree, unsafe_skip_copy=True).resolve(PositionProvider)
    seen = set()
    for node, text in found:
        start = positions[node].start
        finding = Finding(module.path, start.line, start.column + 1, text)
        if finding not in seen:
            seen.add(finding)
            yield finding
