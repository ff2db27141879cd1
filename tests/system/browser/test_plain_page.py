"""The error page of an application without templates: readable with its style and without it."""

from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, Route
from quart import Quart

from quartapp.errors import ErrorPages
from tests.system.browser.contrast import TOO_FAINT
from tests.system.browser.test_axe import AXE, FAULTS
from tests.system.browser.test_looks import TOO_WIDE

pytestmark = pytest.mark.browser

PHONE = 320


def shop(policy: str = "") -> Quart:
    app = Quart("shop", root_path="/nowhere")
    app.config["ERRORS_CONTACT"] = "help@shop.example"
    ErrorPages(app, name="The shop")

    @app.route("/boom")
    async def boom() -> str:
        raise ZeroDivisionError

    @app.after_request
    async def add_policy(response: Any) -> Any:
        if policy:
            response.headers["Content-Security-Policy"] = policy
        return response

    return app


async def show(browser: Browser, app: Quart, path: str, **options: Any) -> Page:
    """The page in a browser that gets its answers from the application, without a server."""
    page = await browser.new_page(base_url="http://shop.example", **options)

    async def answer(route: Route) -> None:
        response = await app.test_client().get(path)
        headers = dict(response.headers)
        body = await response.get_data(as_text=True)
        await route.fulfill(status=response.status_code, headers=headers, body=body)

    await page.route("**/*", answer)
    await page.goto(path)
    return page


@pytest.mark.parametrize(
    ("scheme", "policy"), [("light", ""), ("dark", ""), ("dark", "default-src 'none'")]
)
async def test_the_plain_page_is_readable_everywhere(
    browser: Browser, scheme: Literal["light", "dark"], policy: str
) -> None:
    viewport = {"width": PHONE, "height": 640}
    page = await show(browser, shop(policy), "/boom", color_scheme=scheme, viewport=viewport)
    assert await page.evaluate("getComputedStyle(document.body).maxWidth") == (
        "none" if policy else "576px"
    )
    text = {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}[scheme]
    assert await page.evaluate("getComputedStyle(document.body).color") == text
    assert await page.evaluate(TOO_WIDE, PHONE) == []
    if not policy:  # both take the background of a page without a style for white
        assert await page.evaluate(TOO_FAINT) == []
        await page.evaluate(AXE)
        assert await page.evaluate(FAULTS) == []
    await page.close()
