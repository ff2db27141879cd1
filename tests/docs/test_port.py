"""Every example of the pages about porting runs, and so do the tests in it."""

import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("docs/port.md", "docs/extensions.md", "quartapp/flasklike/README.md")
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def examples(name: str) -> list[Any]:
    """The page's examples; an example that fails is named by its line."""
    text = (ROOT / name).read_text("utf-8")
    found = []
    for match in EXAMPLE.finditer(text):
        line = text.count("\n", 0, match.start(1)) + 1
        source = "\n" * (line - 1) + match[1]
        found.append(pytest.param(source, name, id=f"{name}:{line}"))
    return found


@pytest.mark.parametrize(("source", "name"), [each for page in PAGES for each in examples(page)])
def test_the_examples_run(source: str, name: str) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, str(ROOT / name), "exec"), names)
    tests = [value for key, value in names.items() if key.startswith("test_")]
    for test in tests:
        result = test()
        if inspect.iscoroutine(result):
            asyncio.run(result)
    assert tests or "(__name__)" not in source  # an application that nothing uses proves nothing
