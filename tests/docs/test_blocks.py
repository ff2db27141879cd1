"""Every block of code in the documents is run, or is checked against what it names.

The Python of a page runs in order, in one namespace and in an empty folder, and so do the tests in
it. `tests/docs/blocks.py` has the comments by which a page says how a block is run.
"""

import asyncio
import configparser
import importlib
import inspect
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jinja2 import Environment
from quart.cli import cli as quart_command

from tests.docs.blocks import PAGES, ROOT, Block, blocks_of
from tests.docs.command_lines import fault_of

# Pages whose Python is a test suite, which needs pytest and has a test of its own.
SUITES = {ROOT / "docs" / "test.md"}
COMMANDS = {"sh", "console"}
TEXTS = {"", "text", "{eval-rst}", "diff"}
TESTED_ALONE = {"nginx", "yaml"}  # by test_nginx.py and test_alerts.py of tests/deploy
OURS = re.compile(r"^(?:\.venv/bin/|make |quart |pytest )")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder, whose modules can be imported until the page ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


PYTHON_PAGES = [
    page
    for page in PAGES
    if page not in SUITES and any(one.language == "python" for one in blocks_of(page))
]


@pytest.mark.lenient("coroutines")  # docs/port.md shows one that is not awaited
@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    unproved = None
    for block in blocks_of(page):
        if block.about("not run") is not None or block.about("same as"):
            continue
        if name := block.about("file"):
            write(folder / name, block)
        elif block.language == "python":
            run(block, names)
        elif block.comment == "run":
            run_commands(block)
        if block.language == "python":
            if "(__name__)" in block.text:
                assert unproved is None, f"nothing uses the application in {unproved}"
                unproved = block
            if re.search(r"^ *assert ", block.text, re.MULTILINE):
                unproved = None
    assert unproved is None, f"nothing uses the application in {unproved}"


def write(path: Path, block: Block) -> None:
    """Write a file of the page; a module is imported, so that its lines run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, "utf-8")
    if path.suffix == ".py" and not path.name.startswith(("test_", "conftest")):
        sys.modules.pop(path.stem, None)
        importlib.invalidate_caches()
        importlib.import_module(path.stem)


def run(block: Block, names: dict[str, Any]) -> None:
    before = {name: names.get(name) for name in names}
    exec(compile(block.source, str(block.page), "exec"), names)
    for name, value in list(names.items()):
        if name.startswith("test_") and before.get(name) is not value:
            result = value()
            if inspect.iscoroutine(result):
                asyncio.run(result)


def run_commands(block: Block) -> None:
    """Run each command of `quart` in this process, and compare what it prints."""
    for command, expected in re.findall(
        r"^\$ quart (.*)\n((?!\$ ).*\n)*", block.text, re.MULTILINE
    ):
        result = CliRunner().invoke(quart_command, command.split())
        assert result.exit_code == 0, f"{block}: {result.output}"
        pattern = re.escape(expected).replace(re.escape("..."), ".*")
        assert re.search(pattern, result.output), f"{block}: {result.output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_exist(page: Path) -> None:
    for block in blocks_of(page):
        for line in block.commands():
            if block.language in COMMANDS or (block.language == "" and OURS.match(line)):
                fault = fault_of(line)
                assert not fault, f"{block}: {line}: {fault}"


def test_every_block_of_code_is_run_or_checked() -> None:
    kinds = set()
    for block in (one for page in PAGES for one in blocks_of(page)):
        kinds.add(block.language)
        match block.language:
            case _ if block.about("not run") is not None:
                assert len(block.comment) > 20, f"{block}: say why"
            case _ if name := block.about("same as"):
                assert (ROOT / "docs" / name).read_text("utf-8") == block.text, block
            case "toml":
                tomllib.loads(block.text)
            case "properties":
                assert re.fullmatch(r"(?:[A-Z_]+=.*\n)+", block.text), block
            case "ini":
                configparser.ConfigParser(strict=False, interpolation=None).read_string(block.text)
            case "json":
                json.loads(block.text)
            case "html" | "jinja":
                Environment().parse(block.text)
            case language:
                known = {"python"} | COMMANDS | TEXTS | TESTED_ALONE
                assert language in known, f"{block}: nothing checks {language}"
    assert {"python", "sh", "toml", "ini"} <= kinds
