"""Every link of the documents leads somewhere."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_link_of_the_documents_leads_somewhere() -> None:
    found = 0
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
            found += 1
    assert found > 20
