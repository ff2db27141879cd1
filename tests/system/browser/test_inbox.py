"""The page of one error in a real browser. The application answers in the test's own process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from tests.inbox.conftest import OPERATOR, make_app
from tests.inbox.one import store_everything
from tests.inbox.test_one import HOSTILE, hostile_report
from tests.system.browser.conftest import EXPECTED, TIMEOUT
from tests.system.browser.test_axe import AXE, FAULTS
from tests.system.browser.test_keyboard import FOCUSED

pytestmark = pytest.mark.browser

SITE = "http://localhost"  # trustworthy, so that no header is ignored
WIDER = "document.documentElement.scrollWidth > innerWidth"

OpenInbox = Callable[..., Awaitable[Page]]


@pytest.fixture
def app(tmp_path: Path) -> Any:
    return make_app(tmp_path)


@pytest_asyncio.fixture(loop_scope="session")
async def open_inbox(browser: Browser, app: Any) -> AsyncIterator[OpenInbox]:
    """A page that asks the application. The test fails if the browser complains, or asks others."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    client = app.test_client()

    async def answer(route: Route) -> None:
        asked = urlsplit(route.request.url)
        if f"{asked.scheme}://{asked.netloc}" != SITE:
            complaints.append(route.request.url)
        path = f"{asked.path}?{asked.query}"
        sent = await route.request.all_headers()
        headers = {name: sent[name] for name in ("content-type", "origin") if name in sent}
        response = await client.open(
            path,
            method=route.request.method,
            headers=OPERATOR | headers,
            data=route.request.post_data_buffer or b"",
        )
        body = await response.get_data()
        await route.fulfill(status=response.status_code, headers=dict(response.headers), body=body)

    async def new(**options: Any) -> Page:
        context = await browser.new_context(base_url=SITE, **options)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        await page.route("**/*", answer)
        return page

    async with app.test_app():
        yield new
        for context in contexts:
            await context.close()
    assert [text for text in complaints if not text.startswith(EXPECTED)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_an_error(open_inbox: OpenInbox, app: Any, scheme: str) -> None:
    group_id = await store_everything(app)
    page = await open_inbox(color_scheme=scheme, viewport={"width": 1000, "height": 800})
    await page.goto(f"/errors/{group_id}")
    await page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    await page.evaluate(AXE)
    assert await page.evaluate(FAULTS) == []


async def test_hostile_texts_do_nothing_and_fit_on_a_phone(open_inbox: OpenInbox, app: Any) -> None:
    report, names = hostile_report()
    group_id = await store_everything(app, report, HOSTILE.format("others"))
    page = await open_inbox(viewport={"width": 375, "height": 700})
    await page.goto(f"/errors/{group_id}")
    await page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert not await page.evaluate(WIDER)
    assert await page.locator("script, img, style, iframe, [onerror], [autofocus]").count() == 0
    shown = await page.locator("main").inner_text()
    assert [name for name in names if f"alert('{name}')" not in shown.lower()] == []


async def test_an_error_is_read_without_scripts_and_by_the_keyboard(
    open_inbox: OpenInbox, app: Any
) -> None:
    group_id = await store_everything(app)
    page = await open_inbox(java_script_enabled=False)
    await page.goto(f"/errors/{group_id}")
    await expect(page.locator("mark")).to_have_text("rates[card.country]")
    library = page.locator("details.library")
    await expect(library.get_by_text("quart/app.py:1598").first).to_be_hidden()
    await library.locator("summary").focus()
    await page.keyboard.press("Enter")
    await expect(library.get_by_text("quart/app.py:1598").first).to_be_visible()
    await page.get_by_role("link", name="Previous").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Sample 1 of 2")).to_be_in_viewport()
    await page.get_by_text("Last hour as a table").click()
    await expect(page.get_by_role("cell", name="9", exact=True).first).to_be_visible()


async def test_tab_reaches_everything_and_shows_where_it_is(
    open_inbox: OpenInbox, app: Any
) -> None:
    page = await open_inbox()
    await page.goto(f"/errors/{await store_everything(app)}")
    names: list[str] = []
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement === document.body"):
            break  # after the last one
        focused = await page.evaluate(FOCUSED)
        assert focused["seen"], focused
        names.append(focused["name"])
    for name in (
        "Markdown",
        "First",
        "2 in quart",
        "Last hour as a table",
        "KeyError in basket.total",
    ):
        assert name in names
