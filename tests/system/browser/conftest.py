"""Chromium with a real server that has, besides production's pages, some that fail."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from quartapp.microblog.testing import StartServer
from quartapp.testing import LiveServer
from tests.conftest import CHROMIUM, CHROMIUM_OPTIONS

TIMEOUT = 30_000
"""Milliseconds that an action may take on a busy machine."""

# Chromium logs an error page as an error; and it logs when a field's `autofocus` has no effect
# because the person is typing already.
EXPECTED = ("Failed to load resource", "Autofocus processing was blocked")

expect.set_options(timeout=TIMEOUT)
FOLDER = Path(__file__).parent
SERVE = str(FOLDER.parents[1] / "microblog" / "serve.py")

OpenPage: TypeAlias = Callable[..., Awaitable[Page]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of this folder share a browser, and therefore its event loop."""
    shared = pytest.mark.asyncio(loop_scope="session")
    for item in items:
        if item.path.is_relative_to(FOLDER) and pytest_asyncio.is_async_test(item):
            item.add_marker(shared, append=False)


@pytest.fixture
def server(live_server: StartServer) -> Iterator[LiveServer]:
    # Production has no cheap passwords. Its pages are the same.
    with live_server(SERVE, ENVIRONMENT="development", PASSWORD_COST="7") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, server: LiveServer) -> AsyncIterator[OpenPage]:
    """`await open_page(color_scheme="dark")`: a new person with a separate browser profile.

    The test fails if a page logged anything that is not EXPECTED, such as an error of a script or
    of the security policy.
    """
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    async def new(**options: Any) -> Page:
        context = await browser.new_context(base_url=server.url, **options)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield new
    for context in contexts:
        await context.close()
    assert [text for text in complaints if not text.startswith(EXPECTED)] == []


_HIDDEN = re.compile(r'<input(?=[^>]* type="hidden")(?=[^>]* name="(\w+)")[^>]* value="([^"]*)"')


async def submit(page: Page, path: str, to: str = "", **fields: str) -> None:
    """Send the form of an address, with the cookies of a page, which shows nothing of it.

    To fill in and click takes ten times as long.
    """
    form = await (await page.request.get(path)).text()
    hidden = dict(_HIDDEN.findall(form))
    answer = await page.request.post(to or path, form={**hidden, **fields}, max_redirects=0)
    assert answer.status in {302, 303}, await answer.text()


async def register(page: Page, username: str, password: str = "a good password") -> None:
    """Register and log in; the page is then the first one of this person."""
    email = f"{username}@example.com"
    both = {"password": password, "password2": password}
    await submit(page, "/register", username=username, email=email, **both)
    await submit(page, "/login", username=username, password=password)
    await page.goto("/")
    await page.get_by_role("heading", name=f"Hi, {username}!").wait_for()


async def publish(page: Page, text: str) -> None:
    """Write a post; the page is then the first one."""
    await submit(page, "/", post=text)
    await page.goto("/")
    await page.get_by_text("Your post is now live!").wait_for()
