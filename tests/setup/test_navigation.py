"""The site's navigation, which is the links of its indexes, reaches every page of the documents."""

import re
from pathlib import Path

from tests.docs.test_public_names import EXPORTS

DOCS = Path(__file__).parents[2] / "docs"
INDEXES = (DOCS / "index.md", DOCS / "decisions" / "README.md", DOCS / "reference" / "README.md")
ITEM = re.compile(r"^- \[[^\]]*\]\(([^)#]+\.md)\)", re.MULTILINE)  # as in docs/site/conf.py


def test_an_index_has_a_link_to_every_page() -> None:
    pages = [
        (index.parent / link).resolve()
        for index in INDEXES
        for link in ITEM.findall(index.read_text("utf-8"))
    ]
    missing = set(DOCS.rglob("*.md")) - {*pages, INDEXES[0]}
    assert not missing, "add a list item with a link to docs/index.md for each of these"
    assert len(set(pages)) == len(pages), "a page has one place in the navigation"


def test_every_part_with_public_names_has_a_page_of_reference() -> None:
    parts = {module for module, _ in EXPORTS if re.fullmatch(r"quartapp\.\w+", module)}
    shown = {
        name
        for page in (DOCS / "reference").glob("*.md")
        for name in re.findall(r"^\.\. automodule:: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
    }
    assert parts == shown, "each needs a page in docs/reference, like those of the others"
