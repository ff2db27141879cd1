"""The list of errors in a real browser, without scripts and by keyboard."""

from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import expect

from tests.inbox.test_listing import HOSTILE, add
from tests.reporting.queries.test_listing import group
from tests.system.browser import test_inbox
from tests.system.browser.test_axe import AXE, FAULTS
from tests.system.browser.test_inbox import WIDER, OpenInbox
from tests.system.browser.test_keyboard import FOCUSED

pytestmark = pytest.mark.browser

app, open_inbox = test_inbox.app, test_inbox.open_inbox  # fixtures


async def add_some(app: Any) -> None:
    await add(
        app,
        group(1, regressed_at=1.0, count=12345, people=42, message="no paper " * 50),
        group(2, message="".join(HOSTILE[:-1]), title="".join(HOSTILE[:-1])[:200]),
        group(30),
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_the_list(
    open_inbox: OpenInbox,
    app: Any,
    scheme: str,
) -> None:
    await add_some(app)
    page = await open_inbox(color_scheme=scheme, viewport={"width": 375, "height": 800})
    await page.goto("/errors/?state=all&since=30d&sort=count")
    await page.evaluate(AXE)
    for width in (375, 1100):
        await page.set_viewport_size({"width": width, "height": 800})
        assert not await page.evaluate(WIDER)
        assert await page.evaluate(FAULTS) == []


async def test_an_operator_searches_and_resolves_without_scripts(
    open_inbox: OpenInbox,
    app: Any,
) -> None:
    await add_some(app)
    page = await open_inbox(java_script_enabled=False)
    await page.goto("/errors/")
    await page.get_by_label("Search").fill("NO PAPER")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("row")).to_have_count(2)
    await page.get_by_label("Select ValueError in shop.order_1").focus()
    await page.keyboard.press("Space")
    await page.get_by_role("button", name="Resolve").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("p[role=status]")).to_have_text("1 error was resolved.")
    await expect(page.get_by_text("No open error matches.")).to_be_visible()
    await page.get_by_role("link", name="clear the search").click()
    await page.get_by_role("link", name="Resolved").click()
    await expect(page.get_by_role("row")).to_have_count(2)
    await expect(page.get_by_role("row", name="shop.order_1")).to_contain_text("resolved")
    await page.get_by_role("button", name="Mute").click()
    await expect(page.get_by_text("No error was selected.")).to_be_visible()


async def test_hostile_texts_are_shown_as_text(open_inbox: OpenInbox, app: Any) -> None:
    await add_some(app)
    page = await open_inbox()
    for path in ("/errors/", f"/errors/?q={quote(HOSTILE[1])}&host={quote(HOSTILE[0])}"):
        await page.goto(path)
        assert await page.locator("script:not([src]), img, style, iframe, [onerror]").count() == 0
    await page.goto("/errors/")
    await expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()


async def test_tab_reaches_everything_of_the_list(open_inbox: OpenInbox, app: Any) -> None:
    await add_some(app)
    page = await open_inbox()
    await page.goto("/errors/")
    names: list[str] = []
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement === document.body"):
            break  # after the last one
        focused = await page.evaluate(FOCUSED)
        assert focused["seen"], focused
        names.append(focused["name"])
    for name in ("Skip to the content", "Search", "Filters", "Regressed", "act", "Count"):
        assert name in names, names
    assert "ValueError in shop.order_1" in names
