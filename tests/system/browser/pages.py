"""The pages for the checks of whole pages, and their contents."""

from playwright.async_api import Page

from tests.system.browser.conftest import OpenPage, publish, register

PUBLIC = ["/", "/explore", "/login", "/register", "/user/susan", "/post/1", "/nowhere", "/boom"]
PERSONAL = [
    *("/", "/explore", "/user/john", "/user/susan", "/user/susan/followers", "/post/1"),
    *("/post/1/delete", "/edit_profile", "/security", "/logout", "/nowhere", "/boom"),
]


async def stranger_and_susan(open_page: OpenPage, **options: object) -> tuple[Page, Page]:
    """Two browsers: one without a login, and susan's, who is followed by john and has one post."""
    susan = await open_page(**options)
    await register(susan, "susan")
    await publish(susan, "Good morning")
    john = await open_page()
    await register(john, "john")
    await john.goto("/user/susan")
    await john.get_by_role("button", name="Follow").click()
    await john.get_by_text("You are following").wait_for()
    return await open_page(**options), susan
