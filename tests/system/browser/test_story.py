"""The tutorial's features, used by two people."""

import pytest
from playwright.async_api import Page, expect

from tests.system.browser.conftest import OpenPage

pytestmark = pytest.mark.browser


async def test_two_people_meet_and_one_wants_the_others_name(open_page: OpenPage) -> None:
    susan, john = await open_page(), await open_page(java_script_enabled=False)
    await _register(susan, "susan")
    await _register(john, "john")
    await _publish(john, "Hello from John <3")
    await _follows(susan)
    await _renames(susan)
    await _gets_lost(susan)
    await _meets_a_bug(susan)
    await _leaves(susan)
    await expect(susan.get_by_role("navigation")).not_to_contain_text("sue")


async def _register(page: Page, username: str) -> None:
    await page.goto("/register")
    await page.get_by_label("Username").fill(username)
    await page.get_by_label("Email").fill(f"{username}@example.com")
    await page.get_by_label("Password", exact=True).fill("a good password")
    await page.get_by_label("Repeat Password").fill("a good password")
    await page.get_by_role("button", name="Register").click()
    await page.get_by_text("Congratulations, you are now a registered user!").wait_for()
    await page.get_by_label("Username").fill(username)
    await page.get_by_label("Password").fill("a good password")
    await page.get_by_role("button", name="Sign In").click()
    await page.get_by_role("heading", name=f"Hi, {username}!").wait_for()
    await page.wait_for_load_state()  # with its stylesheets, so that everything is in its place


async def _publish(page: Page, text: str) -> None:
    await page.goto("/")
    await page.get_by_label("Say something").fill(text)
    await page.get_by_role("button", name="Post").click()
    await page.get_by_text("Your post is now live!").wait_for()


async def _follows(susan: Page) -> None:
    await susan.get_by_role("link", name="Explore").click()
    await susan.get_by_role("link", name="john").click()
    await susan.get_by_role("button", name="Follow").click()
    await expect(susan.get_by_role("status")).to_have_text("You are following john!")
    await expect(susan.get_by_role("button", name="Unfollow")).to_be_visible()
    await susan.get_by_role("link", name="Microblog").click()
    await expect(susan.get_by_role("article")).to_contain_text("Hello from John <3")


async def _renames(susan: Page) -> None:
    await susan.get_by_role("navigation").get_by_role("link", name="susan").click()
    await susan.get_by_role("link", name="Edit your profile").click()
    name = susan.get_by_label("Username")
    await name.fill("john")
    await susan.get_by_label("About me").fill("I like names")
    await susan.get_by_role("button", name="Submit").click()
    await expect(name).to_have_accessible_description("Please use a different username.")
    await expect(name).to_have_value("john")
    await expect(name).to_be_focused()
    await expect(susan.get_by_label("About me")).to_have_value("I like names")
    await expect(susan.get_by_role("navigation")).to_contain_text("susan")
    await name.fill("sue")
    await susan.get_by_role("button", name="Submit").click()
    await expect(susan.get_by_role("status")).to_have_text("Your changes have been saved.")
    await expect(susan.get_by_role("navigation")).to_contain_text("sue")


async def _gets_lost(sue: Page) -> None:
    response = await sue.goto("/user/nobody")
    assert response is not None
    assert response.status == 404
    await expect(sue.get_by_role("heading")).to_have_text("Not Found")
    await expect(sue.get_by_role("navigation")).to_contain_text("sue")
    image = sue.locator("main img")
    assert await image.evaluate("image => image.complete && image.naturalWidth > 0")
    await sue.get_by_role("link", name="Start page").click()
    await expect(sue.get_by_role("heading", name="Hi, sue!")).to_be_visible()


async def _meets_a_bug(sue: Page) -> None:
    # A GET that reads before it writes gets a 503 if another connection writes in between, as the
    # one that counts errors does: so it comes first.
    for path in ("/failed-flush?name=john", "/boom"):
        response = await sue.goto(path)
        assert response is not None
        assert response.status == 500
        heading = sue.get_by_role("heading", name="An unexpected error has occurred")
        await expect(heading).to_be_visible()
        await expect(sue.get_by_role("navigation")).to_contain_text("sue")
        await expect(sue.locator(".reference")).not_to_be_empty()
        text = await sue.content()
        for secret in ("canary", "IntegrityError", "sqlite", "Traceback"):
            assert secret not in text
    await sue.get_by_label("What did you do").fill("I looked for </textarea><b>john</b>")
    await sue.get_by_role("button", name="Send", exact=True).click()
    await expect(sue.get_by_role("heading", name="Thank you")).to_be_visible()
    await sue.get_by_role("link", name="Start page").click()


async def _leaves(sue: Page) -> None:
    await sue.get_by_role("button", name="Log out").click()
    await expect(sue.get_by_role("status")).to_have_text("You are logged out.")
    await expect(sue.get_by_role("heading", name="Welcome to Microblog")).to_be_visible()
    await sue.go_back()
    await sue.goto("/edit_profile")
    await expect(sue.get_by_role("heading", name="Sign In")).to_be_visible()
