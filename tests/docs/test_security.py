"""docs/security.md names tests and files that exist, and the numbers that the code has."""

import re
from pathlib import Path

import pytest

from quartapp.errors import bounds
from quartapp.microblog.api import bodies
from quartapp.microblog.models import post, user
from quartapp.microblog.web import validation

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
BOUNDS = TEXT.partition("## What clients send is bounded")[2].partition("\n## ")[0]
ROWS = [line for line in BOUNDS.splitlines() if line.startswith("| ")][1:]
NAMES = re.findall(r"`(tests/[^:`]*)::(\w+)`", TEXT)

NUMBERS = {
    "path and query": bounds.LONGEST_ADDRESS,
    "arguments of a query": bounds.MOST_ARGUMENTS,
    "header fields": bounds.MOST_FIELDS,
    "cookies": bounds.MOST_COOKIES,
    "fields of a form": validation.MAX_FORM_PARTS,
    "parts of a multipart form": validation.MAX_FORM_PARTS,
    "`username`": user.USERNAME_LENGTH,
    "`username`, `email`": user.EMAIL_LENGTH,
    "`username`, `email`, `about_me`, `post`": post.BODY_LENGTH,
    "`password`": user.PASSWORD_LENGTH,
    "JSON": bodies.MOST_KEYS,
}


@pytest.mark.parametrize("row", ROWS)
def test_every_way_in_has_a_bound_a_place_and_a_test(row: str) -> None:
    _, bound, where, test = row.strip("| ").split(" | ")
    assert bound
    assert "`" in where
    assert "::test_" in test


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMES)))
def test_every_named_test_exists(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("what", NUMBERS)
def test_the_numbers_are_those_in_force(what: str) -> None:
    [row] = [row for row in ROWS if row.startswith(f"| {what}")]
    assert re.search(rf"\b{NUMBERS[what]:,}\b", row)
