"""Counting the characters of a post, with scripts and without, and deleting it."""

import pytest
from playwright.async_api import expect

from tests.system.browser.conftest import OpenPage, register

pytestmark = pytest.mark.browser

SNAKES = "\N{SNAKE}" * 140


async def test_the_counter_counts_as_the_server_does(open_page: OpenPage) -> None:
    page = await open_page()
    await register(page, "susan")
    box = page.get_by_label("Say something")
    await expect(box).to_have_accessible_description("140 characters left.")
    for text, left in (
        ("Hello", "135 characters left."),
        (SNAKES, "0 characters left."),
        (SNAKES + "!", "1 character too many."),
        ("  a\n \n\n\nb\n", "136 characters left."),
    ):
        await box.fill(text)
        await expect(box).to_have_accessible_description(left)
    await box.fill(SNAKES)
    await page.get_by_role("button", name="Post").click()
    await expect(page.get_by_role("status")).to_have_text("Your post is now live!")


async def test_without_scripts_the_server_counts(open_page: OpenPage) -> None:
    page = await open_page(java_script_enabled=False)
    await register(page, "susan")
    box = page.get_by_label("Say something")
    await expect(box).to_have_accessible_description("At most 140 characters.")
    await box.fill("x" * 152)  # browsers must not cut it, as its end would be lost
    await page.get_by_role("button", name="Post").click()
    fault = "At most 140 characters. Please use at most 140 characters; these are 152."
    await expect(box).to_have_accessible_description(fault)
    await expect(box).to_have_value("x" * 152)


async def test_a_person_deletes_a_post(open_page: OpenPage) -> None:
    page = await open_page(java_script_enabled=False)
    await register(page, "susan")
    await page.get_by_label("Say something").fill("Too early")
    await page.get_by_role("button", name="Post").click()
    await page.get_by_role("article").get_by_role("link", name="Delete").click()
    await expect(page.get_by_role("article")).to_contain_text("Too early")
    await page.get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("status")).to_have_text("Your post is deleted.")
    await expect(page.get_by_role("article")).to_have_count(0)
