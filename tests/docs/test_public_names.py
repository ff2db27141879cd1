"""docs/public-names.md lists what the packages export and which commands there are."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

from quartapp.database.migrations.commands import db
from quartapp.microblog import commands as microblog_commands
from quartapp.reporting.commands import errors

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "public-names.md").read_text("utf-8")
EXPORTS = re.findall(r"^\| `(quartapp[.\w]*)` \| (.*) \|$", TEXT, re.MULTILINE)
COMMANDS = set(re.findall(r"^\| `quart --app quartapp ([a-z -]+)` \|", TEXT, re.MULTILINE))


def names_in(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


@pytest.mark.parametrize(("module", "names"), EXPORTS)
def test_each_name_can_be_imported_and_each_export_is_listed(module: str, names: str) -> None:
    package = importlib.import_module(module)
    listed = names_in(names)
    assert [name for name in listed if not hasattr(package, name)] == []
    assert set(getattr(package, "__all__", listed)) == listed


def test_each_package_with_exports_is_listed() -> None:
    names = {path.parent.name for path in (ROOT / "quartapp").glob("*/__init__.py")}
    packages = {name: importlib.import_module(f"quartapp.{name}") for name in names}
    exporting = {f"quartapp.{name}" for name, one in packages.items() if hasattr(one, "__all__")}
    assert exporting <= {module for module, _ in EXPORTS}


def test_each_command_is_listed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    commands = set(project["entry-points"]["quart.commands"]) - {"db", "errors"}
    commands |= {str(command.name) for command in microblog_commands.COMMANDS}
    commands |= {f"db {name}" for name in db.commands}
    assert commands | {f"errors {name}" for name in errors.commands} == COMMANDS
