"""Importing a part loads only what docs/architecture.md says: other parts, and libraries."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.setup.parts import PARTS, ROOT

DOCUMENT = (ROOT / "docs" / "architecture.md").read_text("utf-8")

# Each part is imported in a fork of an interpreter that has imported nothing.
IMPORT_EACH = """
import importlib, json, os, sys

for part in sys.argv[1:]:
    if not os.fork():
        before = set(sys.modules)
        importlib.import_module(f"quartapp.{part}")
        print(json.dumps([part, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, part
"""


def named(cell: str) -> set[str]:
    return set(cell.replace("`", "").split(", ")) - {""}


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """From the table in docs/architecture.md: of each part the other parts, and the libraries."""
    table = DOCUMENT.partition("| importing |")[2].partition("\n\n")[0]
    found = {}
    for line in table.splitlines()[2:]:
        importing, parts, libraries = (cell.strip() for cell in line.split("|")[1:4])
        for name in named(importing):
            found[name.removeprefix("quartapp.")] = (named(parts), named(libraries))
    return found


def libraries_to_look_for() -> dict[str, str]:
    """What pyproject.toml names and Quart does not require, by the name of its module."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    of_quart = {
        canonicalize_name(Requirement(line).name)
        for library in ("quart", "flask", "hypercorn")
        for line in requires(library) or []
    }
    wanted = {canonicalize_name(Requirement(line).name) for line in lines} - of_quart
    return {
        module: name
        for module, names in packages_distributions().items()
        for name in map(canonicalize_name, names)
        if name in wanted and not module.startswith("_")
    }


@pytest.mark.slow
def test_importing_a_part_loads_what_is_documented() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH, *PARTS], cwd=ROOT, capture_output=True, check=True
    )
    libraries = libraries_to_look_for()
    found = {}
    for part, modules in map(json.loads, done.stdout.splitlines()):
        parts = {name.split(".")[1] for name in modules if name.startswith("quartapp.")}
        loaded = {libraries[name] for name in modules if name in libraries}
        found[part] = ((parts & set(PARTS)) - {part}, loaded)
    assert found == documented()
