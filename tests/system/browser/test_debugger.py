"""The debugger in a real browser, over the real development server."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.conftest import CHROMIUM
from tests.debugger.development import Development, development
from tests.system.browser.conftest import TIMEOUT
from tests.system.browser.test_axe import AXE, FAULTS

pytestmark = pytest.mark.browser

expect.set_options(timeout=TIMEOUT)  # Playwright's synchronous interface, which has its own loop
SHOP = Path(__file__).parent / "shop"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(SHOP, folder, dirs_exist_ok=True)
    with development(folder, environment={"EDITOR_URL": "vscode"}) as server:
        server.wait_for_text("/", "Buy")
        yield server


@pytest.fixture
def page(browser: Browser, server: Development) -> Iterator[Page]:
    """A page in a new profile. The test fails if the browser logs an error."""
    context = browser.new_context(base_url=server.url, viewport={"width": 1000, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    yield page
    context.close()
    # Chromium logs a 500 as an error, and what the policy refuses, which is expected here.
    expected = ("Failed to load resource", "frame-ancestors 'none'", "blocked by CORS policy")
    assert [c for c in complaints if not any(part in c for part in expected)] == []


def unlock(page: Page, server: Development) -> None:
    page.get_by_label("PIN").fill(server.wait_for(r"Debugger PIN: (\S+)"))
    page.get_by_role("button", name="Unlock").click()
    expect(page.locator("#lock")).to_be_hidden()


def frame(page: Page, function: str) -> Locator:
    """The last frame of a function, opened."""
    found = page.locator("details.frame").filter(
        has=page.locator("summary code", has_text=re.compile(f"^{re.escape(function)}$"))
    )
    last = found.last
    if last.get_attribute("open") is None:
        last.locator("summary").click()
    return last


def prompt(frame: Locator) -> Locator:
    if not frame.locator("textarea").count():
        frame.get_by_role("button", name="Prompt").click()
    return frame.locator("textarea")


def type_command(frame: Locator, code: str) -> str:
    """Type a command and press Enter; the text that it adds to the log."""
    before = frame.locator(".log pre.typed").count()
    entry = prompt(frame)
    entry.fill(code)
    entry.press("Enter")
    expect(frame.locator(".log pre.typed")).to_have_count(before + 1)
    return frame.locator(".log pre:not(.typed)").last.inner_text()


def picture(page: Page, name: str) -> None:
    """Take a picture for the documentation again, if QUARTAPP_TEST_PICTURES names its folder."""
    if folder := os.environ.get("QUARTAPP_TEST_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_the_prompt_is_locked_until_the_pin_is_typed(page: Page, server: Development) -> None:
    page.goto("/orders")
    expect(page.locator("h1")).to_have_text("IndexError")
    expect(page.locator(".tools:visible")).to_have_count(0)
    picture(page, "debugger-locked")

    page.get_by_label("PIN").fill("000-000-000")
    page.get_by_role("button", name="Unlock").click()
    expect(page.locator("#lock output")).to_have_text("That is not the PIN.")
    expect(page.locator(".tools:visible")).to_have_count(0)

    unlock(page, server)
    expect(page.locator("details.frame[open] .tools").first).to_be_visible()


def test_every_kind_of_command(page: Page, server: Development) -> None:
    page.goto("/orders")
    unlock(page, server)
    view = frame(page, "orders")
    expect(view.locator(".row.current code")).to_contain_text("return str(rows[0].item)")
    assert "".join(view.locator("mark").all_inner_texts()) == "rows[0]"

    assert type_command(view, "1+1") == "2"
    assert type_command(view, "rows") == "[]"
    assert type_command(view, "request.path") == "'/orders'"
    insert = (
        "await session.execute(text(\"INSERT INTO orders VALUES ('tea')\")); await session.commit()"
    )
    assert "CursorResult" not in type_command(view, insert)
    select = "(await session.execute(text('SELECT item FROM orders'))).all()"
    assert type_command(view, select) == "[('tea',)]"
    assert "SyntaxError: invalid syntax" in type_command(view, "1 +* 2")
    assert "SystemExit" in type_command(view, "exit()")
    assert type_command(view, "'still ' + 'there'") == "'still there'"
    picture(page, "debugger-prompt")


def test_a_block_of_several_lines(page: Page, server: Development) -> None:
    page.goto("/receipt")
    unlock(page, server)
    view = frame(page, "receipt")
    entry = prompt(view)
    entry.focus()
    page.keyboard.type("for n in range(3):")
    page.keyboard.press("Enter")
    expect(entry).to_have_value("for n in range(3):\n    ")
    page.keyboard.type("print(n * n)")
    page.keyboard.press("Enter")
    expect(entry).to_have_value("for n in range(3):\n    print(n * n)\n    ")
    page.keyboard.press("Enter")

    expect(view.locator(".log .output")).to_have_text("0\n1\n4\n")
    page.keyboard.press("ArrowUp")
    expect(entry).to_have_value(re.compile(r"^for n in range\(3\):"))


def test_a_page_after_a_post(page: Page, server: Development) -> None:
    page.goto("/")
    page.get_by_role("button", name="Buy").click()
    expect(page.locator(".where")).to_have_text("POST /buy")
    expect(page.locator("h1")).to_have_text("KeyError")
    unlock(page, server)
    view = frame(page, "place_order")

    view.get_by_role("button", name="Variables").click()
    expect(view.locator("tr", has_text="item").locator("td")).to_have_text("'tea'")
    secret = view.locator("tr", has_text="card_token")
    expect(secret).not_to_contain_text("4111")
    picture(page, "debugger-variables")
    secret.get_by_role("button").click()
    expect(secret.locator("td")).to_have_text("'4111-1111'")

    assert type_command(view, "(await request.form)['item'], g.item") == "('tea', 'tea')"


def test_a_frame_of_a_group(page: Page, server: Development) -> None:
    page.goto("/deliveries")
    expect(page.locator("h2", has_text="is member 1 of 2 of ExceptionGroup")).to_be_visible()
    unlock(page, server)
    page.locator("h2", has_text="is member 2 of 2").scroll_into_view_if_needed()
    picture(page, "debugger-group")

    assert type_command(frame(page, "deliver"), "street") == "'Elm Street'"


def test_the_line_of_a_template(page: Page, server: Development) -> None:
    page.goto("/receipt")
    unlock(page, server)
    view = frame(page, "top-level template code")

    expect(view.locator("summary .file")).to_have_text(re.compile(r"templates/receipt\.html$"))
    expect(view.locator(".row.current code")).to_contain_text("{{ item.price / 100 }}")
    assert type_command(view, "item['name']") == "'tea'"


def test_a_frame_without_source_says_so(page: Page, server: Development) -> None:
    page.goto("/generated")
    unlock(page, server)
    made_up = page.locator("details.frame", has=page.locator("summary", has_text="<made up>"))

    expect(made_up).to_contain_text("The source of this frame is not available.")


def test_markup_of_the_error_is_not_markup_of_the_page(page: Page, server: Development) -> None:
    page.goto("/evil")
    unlock(page, server)
    view = frame(page, "evil")
    view.get_by_role("button", name="Variables").click()
    expect(view.locator("tr", has_text="markup").locator("td")).to_contain_text("<img src=x")
    type_command(view, "markup")
    type_command(view, "print(markup)")
    type_command(view, "raise ValueError(markup)")

    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


def test_a_stale_page_says_so_and_runs_nothing(page: Page, server: Development) -> None:
    page.goto("/receipt")
    unlock(page, server)
    view = frame(page, "receipt")
    entry = prompt(view)
    shop = (SHOP / "shop.py").read_text()
    server.write("shop.py", shop.replace("<button>Buy", "<button>Purchase"))
    server.wait_for_text("/", "Purchase")

    entry.fill("1 + 1")
    entry.press("Enter")

    expect(page.locator("#stale")).to_be_visible()
    assert page.url.endswith("/receipt")
    page.reload()
    expect(page.locator("#lock")).to_be_hidden()  # an edit does not lock the browser


def test_no_other_page_can_frame_or_command_it(page: Page, server: Development) -> None:
    page.goto("/receipt")
    unlock(page, server)
    page.goto(server.url.replace("127.0.0.1", "localhost") + "/")
    with page.expect_console_message(lambda message: "frame-ancestors 'none'" in message.text):
        page.set_content(f"<iframe src='{server.url}/receipt'></iframe>")
    assert not any("Traceback" in (f.content() or "") for f in page.frames[1:])

    outcome = page.evaluate(
        """async (url) => {
          try {
            const answer = await fetch(url + "/__debugger__/unlock", {method: "POST",
              headers: {"Content-Type": "application/json", "X-Debugger-Secret": "x"}, body: "{}"});
            return answer.status;
          } catch (error) { return error.name; }
        }""",
        server.url,
    )
    assert outcome == "TypeError"


def test_the_page_asks_no_other_server(page: Page, server: Development) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/deliveries")
    unlock(page, server)

    assert len(asked) >= 4
    assert all(url.startswith(server.url) for url in asked)


def test_plain_text_can_be_copied(page: Page, server: Development) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/receipt")
    page.locator("[data-copy=plain]").click()
    expect(page.locator("[data-copy=plain]")).to_have_text("Copied")

    copied = page.evaluate("navigator.clipboard.readText()")

    assert copied.startswith("Traceback (most recent call last):")
    assert "TypeError: unsupported operand" in copied
    assert copied == httpx.get(f"{server.url}/receipt", timeout=60).text.rsplit("\nDebugger:")[0]


OPEN_ALL = "for (const each of document.querySelectorAll('details')) each.open = true"
WIDTHS = "[document.documentElement.scrollWidth, innerWidth]"


def test_axe_finds_nothing_in_any_section(page: Page, server: Development) -> None:
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for path in ("/stock", "/receipt", "/nowhere"):
        page.goto(path)
        if path == "/stock":
            unlock(page, server)
            type_command(frame(page, "stock"), "1 / 0")
            frame(page, "stock").get_by_role("button", name="Variables").click()
            expect(page.locator(".variables table")).to_be_visible()
        page.evaluate(OPEN_ALL)
        page.evaluate(AXE)
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(FAULTS) == [], (path, scheme)


def test_the_page_fits_on_a_phone(page: Page, server: Development) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    for path in ("/stock", "/receipt", "/nowhere"):
        page.goto(path)
        page.evaluate(OPEN_ALL)
        width, shown = page.evaluate(WIDTHS)
        assert width == shown, path


def test_sections_are_reached_with_the_keyboard(page: Page, server: Development) -> None:
    page.goto("/stock")
    page.get_by_role("link", name="SQL statements").focus()
    page.keyboard.press("Enter")

    expect(page.locator("#sql tbody tr", has_text="AS item")).to_be_visible()
    expect(page.locator("#log table")).to_be_hidden()
    page.locator("#log summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#log td", has_text="counting tea")).to_be_visible()
    picture(page, "debugger-sections")


def test_the_template_that_failed_has_variables(page: Page, server: Development) -> None:
    page.goto("/receipt#template")

    expect(page.locator("#template tr", has_text="items")).to_contain_text("'name': 'tea'")


def test_the_markdown_can_be_copied(page: Page, server: Development) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/receipt")
    page.locator("[data-copy=markdown-text]").click()
    expect(page.locator("[data-copy=markdown-text]")).to_have_text("Copied")

    copied = page.evaluate("navigator.clipboard.readText()")

    assert copied.startswith("# `TypeError` in `GET /receipt`\n")
    assert "templates/receipt.html:" in copied


def test_a_frame_links_to_the_editor(page: Page, server: Development) -> None:
    page.goto("/stock")
    link = frame(page, "stock").locator("a.editor")

    expect(link).to_have_attribute(
        "href", re.compile(rf"^vscode://file{server.folder}/shop\.py:\d+$")
    )


def test_a_mistyped_address_shows_the_routes(page: Page, server: Development) -> None:
    page.goto("/order")
    expect(page.locator("h1")).to_have_text("404: no route matches")
    expect(page.locator("tbody tr").first).to_contain_text("/orders")
    picture(page, "debugger-routes")

    page.get_by_role("link", name="See the page").click()

    expect(page.locator("h1")).to_have_text("Not Found")
