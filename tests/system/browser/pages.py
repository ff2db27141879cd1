"""The pages for the checks of whole pages, and their contents."""

from playwright.async_api import Locator, Page

from tests.system.browser.conftest import OpenPage, publish, register, submit

PUBLIC = [
    *("/", "/explore", "/login", "/register", "/reset_password_request", "/user/susan", "/post/1"),
    *("/nowhere", "/boom"),
]
PERSONAL = [
    *("/", "/explore", "/user/john", "/user/susan", "/user/susan/followers", "/post/1"),
    *("/post/1/delete", "/edit_profile", "/change_password", "/change_email", "/delete_account"),
    *("/security", "/sessions", "/logout", "/nowhere", "/boom"),
]

CONTROLS = "a[href], button, input:not([type=hidden]), textarea"

KIND = """controls => controls.map(control => {
  const path = [];
  for (let e = control; e; e = e.parentElement)
    path.push(e.tagName, e.className, e.type, e.role, e.ariaCurrent);
  return path.join(" ");
})"""


async def new_controls(page: Page, seen: set[str]) -> list[Locator]:
    """The controls of a page that differ from those seen so far in what styles go by: elements,
    classes and states, theirs and those of what they are in."""
    controls = page.locator(CONTROLS)
    new: list[Locator] = []
    for number, kind in enumerate(await controls.evaluate_all(KIND)):
        if kind not in seen:
            seen.add(kind)
            new.append(controls.nth(number))
    return new


async def is_shown(control: Locator) -> bool:
    """Whether the pointer can reach it: the skip link is out of sight until it has the focus."""
    return bool(await control.evaluate("e => e.checkVisibility() && !e.classList.contains('skip')"))


async def stranger_and_susan(open_page: OpenPage, **options: object) -> tuple[Page, Page]:
    """Two browsers: one without a login, and susan's, who is followed by john and has one post."""
    susan = await open_page(**options)
    await register(susan, "susan")
    await publish(susan, "Good morning")
    john = await open_page()
    await register(john, "john")
    await submit(john, "/user/susan", to="/follow/susan")
    return await open_page(**options), susan
