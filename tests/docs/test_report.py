"""The map of reporting names every module, and the pure ones as the contract does."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("reporting", "redact", "logfile", "mail")


def section() -> str:
    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    return text.partition("## Where a line of code belongs")[2].partition("\n## ")[0]


def name_in_map(module: str) -> str:
    """Below `quartapp`, and for reporting's own modules below that."""
    return module.removeprefix("quartapp.").removeprefix("reporting.")


def modules_of(part: str) -> set[str]:
    folder = ROOT / "quartapp" / part
    return {
        ".".join(("quartapp", part, *path.relative_to(folder).with_suffix("").parts))
        for path in folder.rglob("*.py")
        if path.name != "__init__.py"
    }


def test_the_map_names_every_module() -> None:
    modules = {name_in_map(module) for part in PARTS for module in modules_of(part)}
    table = [line for line in section().splitlines() if line.startswith("|")]
    assert modules == set(re.findall(r"`([a-z_.]+)`", "".join(table)))


def test_the_map_marks_what_is_pure() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pure = next(
        contract["source_modules"]
        for contract in contracts["tool"]["importlinter"]["contracts"]
        if contract["name"].endswith("is pure")
    )
    marked = set(re.findall(r"`([a-z_.]+)`\*", section()))
    assert marked == {name_in_map(name) for name in pure}
