"""docs/debug.md names what the debugger knows."""

from quartapp.debugger.page.editor import EDITORS
from tests.docs.blocks import ROOT


def test_every_editor_is_named() -> None:
    page = (ROOT / "docs" / "debug.md").read_text("utf-8")
    names = page.split("The\nnames are ")[1].split(". An address")[0]

    assert names.replace(" and", ",").replace("\n", " ").split(", ") == list(EDITORS)
