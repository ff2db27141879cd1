"""Unusual names and posts: on a phone, zoomed, and with colours replaced by the system."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.system.browser.conftest import OpenPage, publish, register, submit
from tests.system.browser.test_looks import TOO_WIDE

pytestmark = pytest.mark.browser

NAMES = {
    "wide": "W" * 64,
    "emoji": "\N{SNAKE}\N{PARTY POPPER}" * 16,
    "right to left": "\u0645\u062d\u0645\u062f \u0639\u0644\u064a",
    "mixed": "Zo\u00eb \u5f20\u4f1f \u0645\u062d\u0645\u062f <b>&amp;",
}
POSTS = [
    "W" * 140,
    "x\n" * 69 + "y",
    "\N{SNAKE}" * 140,
    "\u0645\u0631\u062d\u0628\u0627 hello 1 < 2",
]

# 640 pixels at 200 % are 320 for the page.
WAYS: dict[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True},
    "zoom": {"viewport": {"width": 320, "height": 360}, "device_scale_factor": 2},
    "forced": {"viewport": {"width": 640, "height": 720}, "forced_colors": "active"},
    "still": {"viewport": {"width": 640, "height": 720}, "reduced_motion": "reduce"},
}


@pytest.mark.parametrize("way", WAYS)
async def test_odd_names_and_posts_break_no_page(open_page: OpenPage, way: str) -> None:
    page = await open_page(**WAYS[way])
    await register(page, "susan")
    for name in NAMES.values():
        await submit(page, "/edit_profile", username=name)
        for path in ("/", "/edit_profile"):
            await page.goto(path)
            await _fits(page, way)
        await page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(name)
        await _fits(page, way)
    for post in POSTS:
        await publish(page, post)
    for path in ("/", "/explore", "/post/1", "/post/2", "/post/2/delete"):
        await page.goto(path)
        await _fits(page, way)


async def _fits(page: Page, way: str) -> None:
    await page.wait_for_load_state()  # with its stylesheets
    assert await page.evaluate(TOO_WIDE, WAYS[way]["viewport"]["width"]) == []


async def test_where_a_system_replaces_colours_the_focus_is_seen(open_page: OpenPage) -> None:
    page = await open_page(forced_colors="active")
    await page.goto("/login")
    await page.get_by_label("Password").focus()
    style = "e => getComputedStyle(e).outlineStyle + parseInt(getComputedStyle(e).outlineWidth)"
    assert await page.get_by_label("Password").evaluate(style) == "solid3"


async def test_back_and_forward_show_what_was_typed_or_sent(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    await page.get_by_label("Say something").fill("Not sent yet")
    await page.get_by_role("link", name="Explore").click()
    await page.go_back()
    await expect(page.get_by_label("Say something")).to_have_value("Not sent yet")
    await page.go_forward()
    await expect(page.get_by_role("heading", name="Explore")).to_be_visible()
