"""The table in docs/groups.md says what the frameworks answer that are installed here."""

from pathlib import Path

import pytest

from tests.system.groups.applications import CASES, answers

DOCUMENT = Path(__file__).parents[3] / "docs" / "groups.md"


def column(name: str) -> dict[str, int]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCUMENT.read_text("utf-8").splitlines()
        if line.startswith(("| | Quart", *[f"| {case} |" for case in CASES]))
    ]
    number = [head.split(" ")[0] for head in rows[0]].index(name)
    return {row[0]: int(row[number]) for row in rows[1:]}


@pytest.mark.parametrize("name", ["Quart", "App"])
async def test_the_table_is_true(name: str) -> None:
    assert column(name) == await answers(name)
