"""`/break/` and `/dev/mail` in a real browser, over the real development server."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.debugger.development import Development, development
from tests.system.browser.test_axe import AXE, FAULTS
from tests.system.browser.test_debugger import browser as browser  # the fixture
from tests.system.browser.test_debugger import picture

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parent / "breaking"
SETTINGS = """\
QUART_SECRET_KEY=development
QUART_DATABASE_URL=sqlite:///shop.db
QUART_ADMINS=ada@example.com
QUART_MAIL_SERVER=mail.example.com
"""
LIGHT: dict[str, Any] = {"viewport": {"width": 1000, "height": 800}}
DARK: dict[str, Any] = LIGHT | {"color_scheme": "dark"}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 800}, "is_mobile": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    folder = tmp_path_factory.mktemp("breaking")
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    (folder / ".env").write_text(SETTINGS)
    with development(folder, app="app") as server:
        server.wait_for_text("/", "Tea")
        yield server


@pytest.fixture
def page(browser: Browser, server: Development) -> Iterator[Page]:
    context = browser.new_context(base_url=server.url, **LIGHT)
    yield context.new_page()
    context.close()


def has_no_faults(page: Page) -> None:
    page.evaluate(AXE)
    assert page.evaluate(FAULTS) == []


def test_what_came_of_a_failure(page: Page, browser: Browser, server: Development) -> None:
    page.goto("/break/")
    picture(page, "break-list")
    has_no_faults(page)
    page.get_by_role("link", name="A failed flush").click()
    expect(page.locator("main")).to_contain_text("It did not happen since the server started.")
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Break it", exact=True).click()
    expect(opened.value.locator("h1")).to_have_text("sqlalchemy.exc.IntegrityError")
    opened.value.close()

    mail = page.get_by_role("link", name="The mail about IntegrityError")
    for _ in range(30):  # as a person reloads
        page.get_by_role("link", name="Load this page again").click()
        if mail.count():
            break
        page.wait_for_timeout(100)
    picture(page, "break-failure")
    has_no_faults(page)
    expect(page.locator(".traces")).to_contain_text("ERROR in app: Exception on")
    reference = page.locator(".traces p code").inner_text()

    for name, options in (("dark", DARK), ("phone", PHONE)):
        context = browser.new_context(base_url=server.url, **options)
        other = context.new_page()
        for path in (mail.get_attribute("href") or "", page.url):
            other.goto(path)
            if name == "dark":
                has_no_faults(other)
            assert other.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        picture(other, f"break-{name}")
        context.close()

    mail.click()
    expect(page.locator("h1")).to_contain_text("NEW IntegrityError in breakit.database")
    shown = page.frame_locator("iframe").locator("body")
    expect(shown).to_contain_text(reference)
    picture(page, "break-mail")
    has_no_faults(page)
    page.goto("/break/flush")
    page.get_by_role("link", name="in the inbox").first.click()
    expect(page).to_have_url(re.compile(r"/errors/.*\b[a-z0-9]{8}$"))


def test_a_websocket_and_the_keyboard(page: Page) -> None:
    page.goto("/break/websocket")
    button = page.get_by_role("button", name="Break it")
    for _ in range(10):
        page.keyboard.press("Tab")
        if button.evaluate("e => e === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#heard")).to_contain_text("The server said: hello to you.")
    expect(page.locator("#heard")).to_contain_text("It closed the connection")


def test_a_hostile_mail_runs_no_script(page: Page, server: Development) -> None:
    server.get("/hostile")
    asked: list[Request] = []
    page.context.on("request", lambda request: asked.append(request))
    page.goto("/dev/mail")
    page.get_by_role("link", name="hacked").first.click()
    frame = page.frame_locator("iframe")
    frame.locator("#script").click()
    frame.locator("#form").click()
    page.wait_for_timeout(200)

    sent = [request.url for request in asked if request.failure != "csp"]
    assert [url for url in sent if not re.search(r"/dev/mail(/\d+(/html)?)?$|/static/", url)] == []
    assert all(other.title() != "hacked" for other in page.context.pages)
    expect(page).not_to_have_title("hacked")
    with page.expect_popup() as opened:
        frame.locator("#good").click()
    expect(opened.value.locator("body")).to_have_text("Welcome back")
