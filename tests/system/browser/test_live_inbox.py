"""Open pages of the inbox stay up to date: Chromium, and a Hypercorn in the test's own process."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from quartapp.inbox.live import events, feed
from quartapp.reporting import pipeline
from quartapp.serving.hypercorn_server import serve
from quartapp.sockets import bind, url_of
from tests.inbox.conftest import OPERATOR, make_app
from tests.inbox.test_live import titles
from tests.system.browser.conftest import EXPECTED, TIMEOUT
from tests.system.browser.test_axe import AXE, FAULTS

pytestmark = pytest.mark.browser

SECONDS = 2.0
"""Within which an error shows on an open page."""


class Served:
    """An application behind Hypercorn, and a browser of an operator."""

    def __init__(self, app: Any, browser: Browser) -> None:
        self.app = app
        self._browser = browser
        self._told = asyncio.Event()
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        listener = bind("127.0.0.1", 0)
        listener.setblocking(False)
        self.url = url_of(listener)
        self._serving = asyncio.create_task(serve(app, listener, self._until_told, 60))

    async def _until_told(self, _leave: object) -> None:
        await self._told.wait()

    async def open(self, path: str, **options: Any) -> Page:
        """A page of an operator."""
        context = await self._browser.new_context(
            base_url=self.url, extra_http_headers=OPERATOR, **options
        )
        self._contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(path)
        return page

    async def until_streaming(self, pages: int = 1) -> None:
        feed = self.app.extensions["inbox"].feed
        async with asyncio.timeout(20):
            while feed.pages < pages:  # noqa: ASYNC110 the browser opens it
                await asyncio.sleep(0.01)

    async def stop(self) -> float:
        """Stop the server; returns the seconds that it took."""
        began = time.monotonic()
        self._told.set()
        with suppress(asyncio.CancelledError):
            await self._serving
        return time.monotonic() - began

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()
        await self.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def served(browser: Browser, tmp_path: Path) -> AsyncIterator[Served]:
    app = make_app(tmp_path)

    app.get("/boom/<name>")(boom)
    async with app.test_app():
        running = Served(app, browser)
        yield running
        await running.close()
    assert [text for text in running.complaints if not text.startswith(EXPECTED)] == []


async def boom(name: str) -> str:
    raise type(name, (ValueError,), {})("boom")


async def test_an_error_in_another_tab_shows_on_the_open_pages(served: Served) -> None:
    tab = await served.open("/boom/Known")
    await served.app.extensions["reporting"].flush()
    listed = await served.open("/errors/")
    overview = await served.open("/errors/overview")
    await served.until_streaming(2)
    row = listed.locator("tr[data-id]")
    await expect(row).to_have_count(1)
    top = await row.bounding_box()
    # The feed is behind by a round of counting and one of asking.
    assert pipeline.EVERY * 1.2 + feed.POLL < SECONDS
    for number, name in enumerate(("First", "Second"), 1):
        await tab.goto(f"/boom/{name}")
        for page in (listed, overview):
            await expect(page.get_by_role("status")).to_contain_text(f"{name} in ")
        told = "1 error is" if number == 1 else f"{number} errors are"
        await expect(listed.get_by_role("status")).to_contain_text(f"{told} not on this page")
    await tab.goto("/boom/Known")
    await expect(row.locator("[data-field=count]")).to_have_text("2")
    assert await row.bounding_box() == top, "what is read has not moved"
    await listed.evaluate(AXE)
    assert await listed.evaluate(FAULTS) == []
    await listed.get_by_role("link", name="Show the list").click()
    await expect(listed.locator("tr[data-id]")).to_have_count(3)
    await expect(overview.locator("[data-text=rate]")).to_have_text(re.compile(r"0\.[678]"))


async def test_a_stream_that_ends_goes_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIFE", 0.5)
    page = await served.open("/errors/")
    await served.until_streaming()
    monkeypatch.undo()
    await asyncio.sleep(0.6)
    await (await served.open("/")).goto("/boom/Later")
    await expect(page.get_by_role("status")).to_contain_text("Later in ")


async def test_the_server_stops_at_once_with_open_pages(served: Served) -> None:
    for path in ("/errors/", "/errors/overview"):
        await served.open(path)
    await served.until_streaming(2)
    assert await served.stop() < 20  # at once; a request may take a minute
    assert served.app.extensions["inbox"].feed.pages == 0
    assert await titles(served.app) == [], "it is no error"


async def test_the_overview_without_scripts_by_reload(served: Served) -> None:
    page = await served.open(
        "/errors/overview", java_script_enabled=False, viewport={"width": 375, "height": 700}
    )
    await expect(page.get_by_text("No error has been recorded yet.")).to_be_visible()
    tab = await served.open("/boom/Unscripted")
    await served.app.extensions["reporting"].flush()
    await page.get_by_role("link", name="Reload").click()
    await expect(page.get_by_role("link", name="Unscripted in ")).to_be_visible()
    await tab.goto("/errors/overview")
    await tab.evaluate(AXE)
    for scheme in ("light", "dark"):
        await tab.emulate_media(color_scheme=scheme)
        assert await tab.evaluate(FAULTS) == []
