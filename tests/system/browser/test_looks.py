"""Layout on phones, dark mode and contrast, measured in the browser."""

from typing import Literal

import pytest
from playwright.async_api import Page

from tests.system.browser.conftest import OpenPage, publish, register
from tests.system.browser.contrast import TOO_FAINT

pytestmark = pytest.mark.browser

PAGES = ["/", "/explore", "/user/susan", "/edit_profile", "/logout", "/nowhere", "/boom"]
PAGES += ["/post/1", "/post/1/delete", "/change_email", "/delete_account"]
PAGES += ["/security", "/sessions"]
ANONYMOUS = ["/", "/login", "/register", "/nowhere"]

# Not innerWidth: a phone zooms out until the widest element fits.
TOO_WIDE = """width => [...document.querySelectorAll("body *")]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > width + 1)
  .map(e => e.outerHTML.slice(0, 80))"""

# WCAG 2.2, "Target Size (Minimum)": 24 pixels, except for links within a sentence.
TOO_SMALL = """() => [...document.querySelectorAll("button, nav a, input:not([type=hidden])")]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 24
      && !(e.type === "checkbox"))
  .map(e => e.outerHTML.slice(0, 80))"""


async def _provoke_errors(page: Page) -> None:
    await page.goto("/edit_profile")
    await page.get_by_label("Username").fill("..")
    await page.get_by_role("button", name="Submit").click()
    await page.locator("small.error").wait_for()
    await page.wait_for_load_state()  # with its stylesheets, so that everything is in its place


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_has_contrast(
    open_page: OpenPage, scheme: Literal["light", "dark"]
) -> None:
    page = await open_page(color_scheme=scheme)
    for path in ANONYMOUS:
        await page.goto(path)
        assert await page.evaluate(TOO_FAINT) == [], path
    await register(page, "susan")
    await publish(page, "Hello")
    await page.wait_for_load_state()  # with its stylesheets
    assert await page.evaluate(TOO_FAINT) == []
    for path in PAGES:
        await page.goto(path)
        assert await page.evaluate(TOO_FAINT) == [], path
    await _provoke_errors(page)
    assert await page.evaluate(TOO_FAINT) == []


FALLING_SHORT = """
<p style="color: #999; background: #fff">faint</p>
<p style="color: #666; background: #fff">not faint</p>
<div style="width: 400px">wide</div>
<button style="height: 20px; padding: 0">small</button>"""


async def test_what_falls_short_is_found(open_page: OpenPage) -> None:
    """Otherwise a measurement that finds nothing would look like a page without faults."""
    page = await open_page(viewport={"width": 320, "height": 640})
    await page.set_content(FALLING_SHORT)
    (faint,) = await page.evaluate(TOO_FAINT)
    assert faint.startswith("faint: 2.8")
    (wide,) = await page.evaluate(TOO_WIDE, 320)
    assert wide.startswith('<div style="width: 400px">')
    (small,) = await page.evaluate(TOO_SMALL)
    assert small.startswith("<button")


async def test_dark_mode_is_dark(open_page: OpenPage) -> None:
    page = await open_page(color_scheme="dark")
    await page.goto("/login")
    color = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert all(int(part) < 60 for part in color.strip("rgb()").split(",")), color


@pytest.mark.parametrize("width", [320, 375])
async def test_a_phone_shows_everything_without_scrolling_sideways(
    open_page: OpenPage, width: int
) -> None:
    page = await open_page(viewport={"width": width, "height": 640}, has_touch=True, is_mobile=True)
    for path in ANONYMOUS:
        await page.goto(path)
        assert await page.evaluate(TOO_WIDE, width) == [], path
    await register(page, "a_rather_long_name_" + "w" * 45)
    await publish(page, "W" * 140)
    for path in [*PAGES[:2], *PAGES[3:]]:
        await page.goto(path)
        assert await page.evaluate(TOO_WIDE, width) == [], path
        assert await page.evaluate(TOO_SMALL) == [], path
    await _provoke_errors(page)
    assert await page.evaluate(TOO_WIDE, width) == []


# The position of a time's first character, whatever the time is, and of the name's end.
FIRST_OF_TIME = """() => {
  const time = document.querySelector(".by time"), text = new Range();
  time.textContent = "1 minute ago";
  text.setStart(time.firstChild, 0); text.setEnd(time.firstChild, 1);
  const name = document.querySelector(".by a").getBoundingClientRect();
  return [text.getBoundingClientRect().left, name.right];
}"""


async def test_a_name_from_right_to_left_leaves_the_time_in_order(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    await page.goto("/edit_profile")
    await page.get_by_label("Username").fill("\u0645\u062d\u0645\u062f")
    await page.get_by_role("button", name="Submit").click()
    await page.get_by_text("Your changes have been saved.").wait_for()
    await publish(page, "Hello")
    first, end_of_name = await page.evaluate(FIRST_OF_TIME)
    assert first >= end_of_name


async def test_a_post_of_many_lines_is_cut_in_lists_and_whole_on_its_page(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    await register(page, "susan")
    await publish(page, "x\n" * 69 + "y")
    height = "e => e.offsetHeight / parseFloat(getComputedStyle(e).lineHeight)"
    for path, lines in (("/", 12), ("/post/1", 70)):
        await page.goto(path)
        assert round(await page.locator(".post .body").evaluate(height)) == lines
