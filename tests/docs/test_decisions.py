"""Every decision has the same form, and is in the index under its title."""

import datetime
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
INDEX = (FOLDER / "README.md").read_text("utf-8")
DECISIONS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
SECTIONS = ["Context", "Decision", "Cost"]


def title_of(path: Path) -> str:
    return path.read_text("utf-8").partition("\n")[0]


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem[:4])
def test_a_decision_has_title_date_status_and_sections(path: Path) -> None:
    title, date, status, *_ = [line for line in path.read_text("utf-8").splitlines() if line]
    assert re.fullmatch(rf"# {path.stem[:4]}: \S.*[^.]", title)
    assert datetime.date.fromisoformat(date.removeprefix("Date: ")).year >= 2026
    assert re.fullmatch(r"Status: (accepted|superseded by \[\d{4}\]\(\d{4}-[a-z-]+\.md\))", status)
    sections = re.findall(r"^## (.*)$", path.read_text("utf-8"), re.MULTILINE)
    assert sections in (SECTIONS, [*SECTIONS, "Proof"])


def test_numbers_are_unique() -> None:
    numbers = [path.stem[:4] for path in DECISIONS]
    assert len(set(numbers)) == len(numbers) > 30


def test_the_index_lists_every_decision_once_by_its_title() -> None:
    listed = re.findall(r"^- \[(\d{4})\]\((.*?)\): (.*)$", INDEX, re.MULTILINE)
    titles = {path.name: title_of(path) for path in DECISIONS}
    assert sorted(listed) == sorted((name[:4], name, title[8:]) for name, title in titles.items())
