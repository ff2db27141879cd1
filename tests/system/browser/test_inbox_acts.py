"""Acts on an error in a real browser, without scripts and by keyboard."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.inbox.one import store_everything
from tests.system.browser import test_inbox
from tests.system.browser.test_axe import AXE, FAULTS
from tests.system.browser.test_inbox import WIDER, OpenInbox

pytestmark = pytest.mark.browser

app, open_inbox = test_inbox.app, test_inbox.open_inbox  # fixtures

HOSTILE = "<img src=x onerror=alert(1)> \u202egnp.exe العربية \N{SNAKE}"


async def press(page: Page, name: str) -> None:
    """Press a button by the keyboard."""
    await page.get_by_role("button", name=name, exact=True).focus()
    await page.keyboard.press("Enter")


async def open_form(page: Page, name: str) -> None:
    await page.locator("summary", has_text=name).focus()
    await page.keyboard.press("Enter")


def state(page: Page) -> Any:
    return page.locator(".state").first


async def test_an_operator_acts_without_scripts(open_inbox: OpenInbox, app: Any) -> None:
    group_id = await store_everything(app)
    page = await open_inbox(java_script_enabled=False, viewport={"width": 375, "height": 700})
    await page.goto(f"/errors/{group_id}")
    if await page.get_by_role("button", name="Reopen").count():
        await press(page, "Reopen")
    await press(page, "Resolve")
    await expect(state(page)).to_have_text("resolved")
    await open_form(page, "Comment")
    await page.get_by_label("Comment", exact=True).fill(HOSTILE)
    await press(page, "Comment")
    await expect(page.locator("img")).to_have_count(0)
    await expect(page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_visible()
    await open_form(page, "Mute")
    await page.get_by_label("Occurrences within an hour").fill("50")
    await page.get_by_label("until there are more than this").check()
    await press(page, "Mute")
    await expect(state(page)).to_have_text("muted")
    await expect(page.get_by_text("until more than 50 in an hour").first).to_be_visible()
    await press(page, "Unmute")
    await expect(page.get_by_role("button", name="Unmute")).to_have_count(0)
    await page.get_by_role("link", name="Delete…").click()
    await press(page, "Delete")
    await expect(page.get_by_role("heading", name="Errors")).to_be_visible()
    await page.goto(f"/errors/{group_id}")
    await expect(page.get_by_text("It may have been deleted.")).to_be_visible()


async def test_the_second_operator_reads_what_the_first_did(
    open_inbox: OpenInbox, app: Any
) -> None:
    group_id = await store_everything(app)
    size: Any = {"width": 375, "height": 700}
    ann, bob = [await open_inbox(viewport=size) for _ in range(2)]
    for page in (ann, bob):
        await page.goto(f"/errors/{group_id}")
    await open_form(ann, "Comment")
    await ann.get_by_label("Comment", exact=True).fill(HOSTILE)
    await press(ann, "Comment")
    await open_form(bob, "Mute")
    await bob.get_by_label("More occurrences", exact=True).fill("77")
    await bob.get_by_label("for so many more").check()
    await press(bob, "Mute")
    await expect(bob.get_by_role("alert")).to_contain_text("Somebody was faster")
    await expect(bob.get_by_role("alert")).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(bob.get_by_label("More occurrences", exact=True)).to_have_value("77")
    await bob.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert not await bob.evaluate(WIDER)
    await bob.evaluate(AXE)
    for scheme in ("light", "dark"):
        await bob.emulate_media(color_scheme=scheme)
        assert await bob.evaluate(FAULTS) == []
    await press(bob, "Mute")
    await expect(state(bob)).to_have_text("muted")
    await bob.goto(f"/errors/{group_id}/delete")
    await bob.evaluate(AXE)
    assert await bob.evaluate(FAULTS) == []
