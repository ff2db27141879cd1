"""Every link in the documents has a target, and every name in them exists."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "quartapp/flasklike/README.md")
DOCUMENTS = [*(ROOT / name for name in FILES), *sorted((ROOT / "docs").rglob("*.md"))]

LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)")
DOTTED = re.compile(r"\bquartapp(?:\.\w+)+")
PARTS = "|".join(path.parent.name for path in sorted(ROOT.glob("quartapp/*/__init__.py")))
SHORT = re.compile(rf"`((?:{PARTS})(?:\.(?!log\b)\w+)+)")  # not a log file
PATH = re.compile(r"\b(?:quartapp|tests|benchmarks|docs|alembic)/[\w./*-]*\w")


def test_every_link_of_the_documents_leads_somewhere() -> None:
    found = 0
    for path in DOCUMENTS:
        for target, anchor in LINK.findall(path.read_text("utf-8")):
            page = path.parent / target if target else path
            assert page.is_file(), f"{path.name}: {target}"  # the site has no pages of folders
            assert not anchor or anchor in anchors(page), f"{path.name}: {target}#{anchor}"
            found += 1
    assert found > 100


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_and_file_that_a_document_names_exists(path: Path) -> None:
    text = without_history(path.read_text("utf-8"))
    names = DOTTED.findall(text) + [f"quartapp.{name}" for name in SHORT.findall(text)]
    assert [name for name in names if not is_importable(name)] == []
    assert [name for name in PATH.findall(text) if not list(ROOT.glob(name))] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def without_history(text: str) -> str:
    """The text without the old import paths of the changelog's tables."""
    return re.sub(r"^\| `[^|]*\|", "|", text, flags=re.MULTILINE) if "| old" in text else text


def is_importable(name: str) -> bool:
    """Whether a dotted name is a module or a name in a module."""
    module, _, last = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return module != "" and _has(module, last)
    return True


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        owner, _, inner = module.rpartition(".")
        return owner != "" and hasattr(getattr(importlib.import_module(owner), inner), name)
