"""Pages look as before: screenshots are compared cell by cell with those in `screenshots/`.

Each picture is reduced to cells of 20 by 20 pixels, which absorbs what fonts and antialiasing of
another machine change; a button that grows, a header that moves or a colour that is lost changes
many cells. QUARTAPP_UPDATE_SCREENSHOTS=1 takes the pictures again: look at them before a commit.
"""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.system.browser.conftest import OpenPage
from tests.system.browser.pages import stranger_and_susan

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parent / "screenshots"
UPDATE = os.environ.get("QUARTAPP_UPDATE_SCREENSHOTS") == "1"
TOLERANCE = 0.03
"""The share of cells that may differ. A button as wide as its form differs in 0.05."""

MODES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 900, "height": 700}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 900, "height": 700}},
    "phone": {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True},
}
PERSONAL = {"home": "/", "profile": "/user/susan", "edit": "/edit_profile", "missing": "/nowhere"}
PUBLIC = {"welcome": "/", "login": "/login", "register": "/register"}

CELLS = """async (picture) => {
  const image = new Image();
  image.src = "data:image/png;base64," + picture;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(image.width / 20); canvas.height = Math.round(image.height / 20);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png").split(",")[1];
}"""

# A cell differs if one of its colours differs by more than 40 of 255.
SHARE = """async ([one, other]) => {
  const pixels = async (picture) => {
    const image = new Image();
    image.src = "data:image/png;base64," + picture;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width; canvas.height = image.height;
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    return pen.getImageData(0, 0, image.width, image.height).data;
  };
  const [a, b] = [await pixels(one), await pixels(other)];
  if (a.length !== b.length) return 1;
  let different = 0;
  for (let i = 0; i < a.length; i += 4)
    if ([0, 1, 2].some(c => Math.abs(a[i + c] - b[i + c]) > 40)) different += 1;
  return different / (a.length / 4);
}"""


@pytest.mark.parametrize("mode", MODES)
async def test_the_pages_look_as_they_did(open_page: OpenPage, mode: str) -> None:
    stranger, susan = await stranger_and_susan(open_page, **MODES[mode])
    canvas = await open_page()  # without our pages' policy, which does not allow such pictures
    different = {}
    for page, paths in ((stranger, PUBLIC), (susan, PERSONAL)):
        for name, path in paths.items():
            await page.goto(path)
            share = await _difference(canvas, await _cells(canvas, page), f"{mode}-{name}")
            if share > TOLERANCE:
                different[name] = share
    assert different == {}


async def test_a_wide_button_and_a_lost_colour_are_found(open_page: OpenPage) -> None:
    _, susan = await stranger_and_susan(open_page, **MODES["light"])
    canvas = await open_page()
    for style in (".compose button[type=submit] { width: 100% }", "body { background: #ccc }"):
        await susan.goto("/")
        await susan.evaluate(
            "style => { const s = new CSSStyleSheet(); s.replaceSync(style);"
            " document.adoptedStyleSheets = [s]; }",
            style,
        )
        cells = await _cells(canvas, susan)
        assert await _difference(canvas, cells, "light-home") > TOLERANCE, style


async def _cells(canvas: Page, page: Page) -> str:
    picture = await page.screenshot(animations="disabled", caret="hide")
    return str(await canvas.evaluate(CELLS, base64.b64encode(picture).decode()))


async def _difference(canvas: Page, cells: str, name: str) -> float:
    file = FOLDER / f"{name}.png"
    if UPDATE:
        FOLDER.mkdir(exist_ok=True)
        file.write_bytes(base64.b64decode(cells))
    reference = base64.b64encode(file.read_bytes()).decode()
    return float(await canvas.evaluate(SHARE, [cells, reference]))
