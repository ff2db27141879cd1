"""Everything can be done without a mouse; what a screen reader says."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.system.browser.conftest import OpenPage, publish, register

pytestmark = pytest.mark.browser

FOCUSED = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  return {name: e.name || e.textContent.trim(), seen: e.getBoundingClientRect().top >= 0
    && (style.outlineStyle !== "none" || style.boxShadow !== "none")};
}"""


async def _tab_to(page: Page, name: str) -> list[str]:
    """Press Tab until an element has the focus; returns all that had it. Each must be visible."""
    passed: list[str] = []
    for _ in range(30):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(FOCUSED)
        assert focused["seen"], focused
        passed.append(focused["name"])
        if focused["name"] == name:
            return passed
    raise AssertionError(f"{name} is not reached: {passed}")


async def test_a_person_logs_in_and_posts_by_keyboard(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    await page.goto("/logout")
    assert (await _tab_to(page, "Log out"))[0] == "Skip to the content"
    await page.keyboard.press("Enter")
    await page.get_by_text("You are logged out.").wait_for()
    await _tab_to(page, "Login")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Sign In").wait_for()
    await expect(page.get_by_label("Username")).to_be_focused()
    await page.keyboard.type("susan")
    assert await _tab_to(page, "password") == ["password"]
    await page.keyboard.type("a good password")
    assert await _tab_to(page, "remember_me") == ["remember_me"]
    await page.keyboard.press("Space")
    await expect(page.get_by_label("Remember Me")).to_be_checked()
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Hi, susan!").wait_for()
    await _tab_to(page, "post")
    await page.keyboard.type("Without a mouse")
    assert await _tab_to(page, "Post") == ["Post"]
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("article")).to_contain_text("Without a mouse")


async def test_the_skip_link_leads_past_the_navigation(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    await publish(page, "Hello")
    await page.goto("/explore")
    await _tab_to(page, "Skip to the content")
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    assert await _tab_to(page, "susan") == ["susan"]


async def test_a_page_has_the_landmarks_and_names_of_a_document(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    await publish(page, "Hello")
    for path in ("/", "/explore", "/user/susan", "/edit_profile", "/nowhere"):
        await page.goto(path)
        for landmark in ("banner", "main", "contentinfo"):
            assert await page.get_by_role(landmark).count() == 1, (path, landmark)
        assert await page.get_by_role("heading", level=1).count() == 1, path
        assert await page.get_by_role("navigation", name="Main").count() == 1, path
        for control in await page.locator("input:not([type=hidden]), textarea, button").all():
            await expect(control).to_have_accessible_name(re.compile(r"\S"))
        doubles = "() => [...document.querySelectorAll('[id]')].map(e => e.id)"
        ids = await page.evaluate(doubles)
        assert len(ids) == len(set(ids)), path
