"""Files beside the code: pytest must run coroutine functions, and some lines name flask."""

import re
from collections.abc import Iterator
from pathlib import Path

from quartapp.flasklike.port.findings import Finding

_SECTIONS = {
    "pytest.ini": "[pytest]",
    "pyproject.toml": "[tool.pytest.ini_options]",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}
"""Where pytest's settings may be, in the order in which it looks."""

_NAMED = (
    (re.compile(r"\bFLASK_APP\b"), "QUART_APP is what `quart` reads"),
    (re.compile(r"\bflask (?:--app|run|shell|routes|db)\b"), "the command is `quart`"),
    (re.compile(r"\b(?:gunicorn|waitress-serve|uwsgi|mod_wsgi)\b"), "serve with an ASGI server"),
    (re.compile(r"""(?:^\s*|["'])flask(?=["'\s<>=~!\[]|$)""", re.I), "require quartapp"),
)
_READ = (
    ".flaskenv",
    ".env",
    "Dockerfile",
    "Makefile",
    "Procfile",
    "pyproject.toml",
    "requirements.txt",
    "requirements-dev.txt",
    "setup.cfg",
    "tox.ini",
)


def asyncio_mode(root: Path, loop: str) -> tuple[Path, bytes, bytes] | None:
    """The file that has pytest run coroutine functions, before and after; None if one does.

    *loop* is the scope of the event loop: "function", or wider if fixtures are.
    """
    for name, section in _SECTIONS.items():
        path = root / name
        before = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if section.encode() in before:
            if b"asyncio_mode" in before:
                return None
            quote = '"' if name == "pyproject.toml" else ""
            end = "\r\n" if b"\r\n" in before else "\n"
            head, _, tail = before.partition(section.encode())
            rest, newline, after = tail.partition(b"\n")
            lines = _lines(loop, quote, end).encode()
            return path, before, head + section.encode() + rest + (newline or b"\n") + lines + after
    path = root / "pytest.ini"
    text = f"{_SECTIONS[path.name]}\n{_lines(loop, '', chr(10))}"
    return None if path.exists() else (path, b"", text.encode())


def _lines(loop: str, quote: str, end: str) -> str:
    values = {"asyncio_mode": "auto", "asyncio_default_fixture_loop_scope": loop}
    if loop != "function":
        values["asyncio_default_test_loop_scope"] = loop
    return "".join(f"{name} = {quote}{value}{quote}{end}" for name, value in values.items())


def named(root: Path) -> Iterator[Finding]:
    """Lines of the usual files beside the code that speak of flask."""
    for name in _READ:
        path = root / name
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            for pattern, text in _NAMED:
                if pattern.search(line):
                    yield Finding(Path(name), number, 1, text)
