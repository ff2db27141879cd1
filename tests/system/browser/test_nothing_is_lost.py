"""If sending a post fails, the text is in the box again, on both engines."""

import pytest
from playwright.async_api import Page, expect

from tests.system.browser.conftest import OpenPage, publish, register

pytestmark = pytest.mark.browser

TEXT = "What I wrote:\nfor half an hour \N{SNAKE} <3"


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def _write(page: Page) -> None:
    await page.goto("/")
    await page.get_by_label("Say something").fill(TEXT)


async def _send(page: Page) -> None:
    await page.get_by_role("button", name="Post").click()


async def check_box(page: Page) -> None:
    await expect(page.get_by_label("Say something")).to_have_value(TEXT)


async def check_live_once(page: Page) -> None:
    await expect(page.get_by_role("status")).to_contain_text("live")
    await expect(page.get_by_role("article").filter(has_text="half an hour")).to_have_count(1)


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_login_that_ended(open_page: OpenPage, scripts: bool) -> None:
    page = await open_page(java_script_enabled=scripts)
    await register(page, "susan")
    await _write(page)
    await page.context.clear_cookies()
    await _send(page)
    await page.get_by_text("What you wrote waits here").wait_for()
    for password in ("wrong", "a good password"):
        await page.get_by_label("Username").fill("susan")
        await page.get_by_label("Password").fill(password)
        await page.get_by_role("button", name="Sign In").click()
    await page.get_by_role("heading", name="Welcome back, susan!").wait_for()
    await check_box(page)
    await _send(page)
    await check_live_once(page)


async def test_a_token_that_is_stale(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    await _write(page)
    await page.context.clear_cookies(name="session")
    await _send(page)
    await page.get_by_text("This form is not valid any more").wait_for()
    await check_box(page)
    await _send(page)
    await check_live_once(page)


@pytest.mark.parametrize("way", ["500", "503", "500 once it is live"])
async def test_an_error_in_the_server(open_page: OpenPage, way: str) -> None:
    page = await open_page()
    await register(page, "susan")
    other = await page.context.new_page()
    await other.goto(f"/fail-posts/{way}")
    await _write(page)
    for _ in range(2):
        await _send(page)
        await page.get_by_text("What you typed is still here").wait_for()
        await check_box(page)
    await other.goto("/fail-posts/no")
    await _send(page)
    await check_live_once(page)


async def test_back_goes_back(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    await page.goto("/explore")
    await page.evaluate("location.href = '/nowhere'")
    await page.get_by_role("link", name="Back").click()
    await expect(page.get_by_role("heading", name="Explore")).to_be_visible()


SEND_ELSEWHERE = """() => {
  const form = document.querySelector(".compose");
  form.target = "elsewhere"; form.submit(); form.target = "";
}"""


async def test_a_form_that_is_sent_twice_posts_once(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    await _write(page)
    async with page.expect_popup() as popup:
        await page.evaluate(SEND_ELSEWHERE)
    await check_live_once(await popup.value)
    await page.get_by_role("button", name="Post").dblclick()
    await expect(page.get_by_role("status").first).to_have_text("Your post is live already.")
    await expect(page.get_by_role("article")).to_have_count(1)


async def test_two_tabs_do_not_disturb_each_other(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    await _write(page)
    other = await page.context.new_page()
    await publish(other, "From the other tab")
    await _send(page)
    await check_live_once(page)
    await expect(page.get_by_role("article")).to_have_count(2)
