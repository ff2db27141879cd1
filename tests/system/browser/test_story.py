"""The tutorial's features, used by two people."""

import pytest
from playwright.async_api import Page, expect

from tests.system.browser.conftest import OpenPage, publish, register

pytestmark = pytest.mark.browser


async def test_two_people_meet_and_one_wants_the_others_name(open_page: OpenPage) -> None:
    susan, john = await open_page(), await open_page(java_script_enabled=False)
    await register(susan, "susan")
    await register(john, "john")
    await publish(john, "Hello from John <3")
    await _follows(susan)
    await _renames(susan)
    await _gets_lost(susan)
    await _meets_a_bug(susan)
    await _leaves(susan)


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


async def _leaves(sue: Page) -> None:
    await sue.get_by_role("button", name="Log out").click()
    await expect(sue.get_by_role("status")).to_have_text("You are logged out.")
    await expect(sue.get_by_role("heading", name="Welcome to Microblog")).to_be_visible()
    await sue.go_back()
    await sue.goto("/edit_profile")
    await expect(sue.get_by_role("heading", name="Sign In")).to_be_visible()
