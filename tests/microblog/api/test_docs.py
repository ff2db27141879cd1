"""docs/api.md names every address and every code, and no others."""

import re
from pathlib import Path

from quartapp.errors.texts import describe
from quartapp.flasklike import App
from quartapp.microblog import exceptions
from quartapp.microblog.api.document import document

DOCS = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")

# What the API answers besides errors of the domain.
STATUSES = (400, 404, 405, 413, 415, 429, 500, 503)
PAGES_ONLY = {exceptions.LoginRequiredError, exceptions.ConflictError}


async def test_every_code_is_documented_with_its_status(app: App) -> None:
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", DOCS, re.MULTILINE))
    codes = {describe(status).code: str(status) for status in STATUSES}
    codes |= {
        kind.code: str(answer.status)
        for kind in _leaves(exceptions.QuartappError)
        if (answer := app.extensions["errors"].answer_of(kind)) and kind not in PAGES_ONLY
    }
    assert documented == codes


async def test_every_address_is_documented(app: App) -> None:
    documented = set(re.findall(r"^\| `([A-Z]+) (/api/[^` ?]+)", DOCS, re.MULTILINE))
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "<id>", path))
        for path, operations in document(app)["paths"].items()
        for method in operations
    }
    assert documented == described | {("GET", "/api/openapi.json")}


def _leaves(kind: type[exceptions.QuartappError]) -> list[type[exceptions.QuartappError]]:
    below = kind.__subclasses__()
    return [kind, *(leaf for child in below for leaf in _leaves(child))]
