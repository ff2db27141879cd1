"""axe, by Deque, finds no fault in any page: at rest, under the pointer, in focus."""

from importlib.resources import files
from typing import Any, Literal

import pytest
from playwright.async_api import Page

from tests.system.browser.conftest import OpenPage
from tests.system.browser.pages import (
    PERSONAL,
    PUBLIC,
    is_shown,
    new_controls,
    stranger_and_susan,
)

pytestmark = pytest.mark.browser

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")

FAULTS = """async (root) => {
  const result = await axe.run(root || document, {resultTypes: ["violations"]});
  return result.violations.map(v => `${v.id}: ${v.nodes.map(n => n.html.slice(0, 120))}`);
}"""

STATES = """async (element) => {
  const {violations} = await axe.run(element || document, {runOnly: ["color-contrast"]});
  return violations.map(v => `${v.id}: ${v.nodes.map(n => n.html.slice(0, 120))}`);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(open_page: OpenPage, scheme: Literal["light", "dark"]) -> None:
    stranger, susan = await stranger_and_susan(open_page, color_scheme=scheme)
    seen: set[str] = set()
    for page, paths in ((stranger, PUBLIC), (susan, PERSONAL)):
        for path in paths:
            # The elements are the same in the dark, only the colours differ.
            faults = FAULTS if scheme == "light" else STATES
            assert await _faults(page, path, seen, faults) == [], path
    await susan.goto("/edit_profile")
    await susan.get_by_label("Username").fill("..")
    await susan.get_by_role("button", name="Submit").click()
    await susan.locator("small.error").wait_for()
    await susan.evaluate(AXE)
    assert await susan.evaluate(FAULTS) == []


async def _faults(page: Page, path: str, seen: set[str], at_rest: str) -> list[Any]:
    await page.goto(path)
    await page.evaluate(AXE)
    await page.evaluate("for (const e of document.querySelectorAll('*')) e.style.transition='none'")
    faults: list[Any] = await page.evaluate(at_rest)
    controls = await new_controls(page, seen)
    for control in controls:
        if await is_shown(control):
            await control.hover()
            faults += await control.evaluate(STATES)
    for control in controls:
        await control.focus()
        faults += await control.evaluate(STATES)
    return faults


async def test_axe_finds_what_is_there(open_page: OpenPage) -> None:
    page = await open_page()
    await page.set_content("<html><body><p style='color:#aaa'>faint</p><img src='x.png'></body>")
    await page.evaluate(AXE)
    found = " ".join(await page.evaluate(FAULTS))
    assert "color-contrast" in found
    assert "image-alt" in found
