"""The pages are valid HTML, by html-validate."""

import json
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.conftest import HTML_VALIDATE
from tests.system.browser.conftest import OpenPage
from tests.system.browser.pages import PERSONAL, PUBLIC, stranger_and_susan

pytestmark = [pytest.mark.browser, pytest.mark.html]

RULES = {
    "extends": ["html-validate:standard"],
    "rules": {
        # Rules about style, and about other sites' conventions:
        "no-trailing-whitespace": "off",
        "void-style": "off",
        "attribute-boolean-style": "off",
        "attr-quotes": "off",
        "doctype-style": "off",
        "long-title": "off",
        "require-sri": "off",
        "no-inline-style": "error",
    },
}


async def test_a_validator_finds_nothing(open_page: OpenPage, tmp_path: Path) -> None:
    stranger, susan = await stranger_and_susan(open_page)
    pages = {"faults": await _page_with_faults(susan)}
    for page, paths, name in ((stranger, PUBLIC, "stranger"), (susan, PERSONAL, "susan")):
        for path in paths:
            text = await (await page.request.get(path)).text()
            pages[f"{name}{path.replace('/', '_')}"] = text
    assert len(pages) == len(PUBLIC) + len(PERSONAL) + 1
    assert _faults_in(tmp_path, pages) == []


def test_the_validator_finds_what_is_there(tmp_path: Path) -> None:
    faults = _faults_in(tmp_path, {"page": "<!doctype html><p><div>x</div></p><img src=x>"})
    assert {rule for _, rule, _ in faults} >= {"close-order"}


async def _page_with_faults(page: Page) -> str:
    """The HTML of a form with faults, as the server sent it."""
    await page.goto("/")
    token = await page.locator(".compose [name=csrf_token]").get_attribute("value")
    answer = await page.request.post(
        "/", form={"csrf_token": str(token), "post": ""}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status == 422
    return await answer.text()


def _faults_in(folder: Path, pages: dict[str, str]) -> list[tuple[str, str, str]]:
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    (folder / ".htmlvalidate.json").write_text(json.dumps({"root": True, **RULES}), "utf-8")
    command = [HTML_VALIDATE, "--formatter", "json", *map(str, folder.glob("*.html"))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return [
        (Path(page["filePath"]).name, fault["ruleId"], f"{fault['message']} (line {fault['line']})")
        for page in json.loads(done.stdout)
        for fault in page["messages"]
    ]
