"""Buttons, links and boxes: their places and sizes, and their colours in each state."""

from typing import Any, Literal

import pytest
from playwright.async_api import Page

from tests.system.browser.conftest import OpenPage, publish, register
from tests.system.browser.contrast import FAINT_BORDERS, FAINT_FOCUS_OF, FAINT_TEXT_OF
from tests.system.browser.pages import is_shown, new_controls

pytestmark = pytest.mark.browser

MINE = [
    *("/", "/user/susan", "/user/susan/followers", "/post/2", "/post/2/delete"),
    *("/edit_profile", "/logout", "/nowhere"),
]

HEADER = """() => ["header", ".brand a"].map(selector => {
  const {y, height} = document.querySelector(selector).getBoundingClientRect();
  return [selector, y, height];
})"""

WIDE_BUTTONS = """() => [...document.querySelectorAll("main form button")]
  .filter(e => e.offsetWidth > e.form.offsetWidth / 2).map(e => e.textContent)"""


async def test_the_header_stands_still_when_a_person_logs_in_and_out(open_page: OpenPage) -> None:
    page = await open_page()
    await page.goto("/login")
    stranger = await page.evaluate(HEADER)
    await register(page, "susan")
    assert await page.evaluate(HEADER) == stranger


async def test_a_button_is_as_wide_as_its_words(open_page: OpenPage) -> None:
    page = await open_page()
    for path in ("/", "/login", "/register"):
        await page.goto(path)
        assert await page.evaluate(WIDE_BUTTONS) == [], path
    await register(page, "susan")
    for path in ("/", "/edit_profile", "/logout"):
        await page.goto(path)
        assert await page.evaluate(WIDE_BUTTONS) == [], path


async def test_logging_out_looks_like_less_than_posting(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    color = "e => getComputedStyle(e).backgroundColor"
    quiet = await page.get_by_role("button", name="Log out").evaluate(color)
    assert quiet == "rgba(0, 0, 0, 0)"
    assert await page.get_by_role("button", name="Post").evaluate(color) != quiet


async def test_a_checkbox_is_square(open_page: OpenPage) -> None:
    page = await open_page()
    await page.goto("/login")
    box = page.get_by_label("Remember Me")
    radius, width = await box.evaluate(
        "e => [parseFloat(getComputedStyle(e).borderTopLeftRadius), e.offsetWidth]"
    )
    assert radius <= width / 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_control_is_seen_at_rest_under_the_pointer_and_in_focus(
    open_page: OpenPage, scheme: Literal["light", "dark"]
) -> None:
    page = await open_page(color_scheme=scheme, viewport={"width": 900, "height": 2000})
    other = await open_page()
    await register(other, "john")
    await publish(other, "Hello from john")
    seen: set[str] = set()
    for path in ("/", "/login", "/register", "/user/john"):
        assert await _faults_of(page, path, seen) == [], path
    await register(page, "susan")
    await publish(page, "Hello")
    for path in MINE:
        assert await _faults_of(page, path, seen) == [], path


async def _faults_of(page: Page, path: str, seen: set[str]) -> list[Any]:
    await page.goto(path)
    # Wait for the end of transitions, which is what people see.
    still = "for (const e of document.querySelectorAll('*')) e.style.transition = 'none'"
    await page.evaluate(still)
    faults: list[Any] = await page.evaluate(FAINT_BORDERS)
    controls = await new_controls(page, seen)
    for control in controls:
        if await is_shown(control):
            await control.hover()
            faults += [("hover", fault) for fault in await control.evaluate(FAINT_TEXT_OF)]
    await page.mouse.move(0, 0)
    await page.keyboard.press("Shift")  # without a keyboard browsers show no ring on buttons
    for control in controls:
        await control.focus()
        faults += [("focus", fault) for fault in await control.evaluate(FAINT_FOCUS_OF)]
    return faults
