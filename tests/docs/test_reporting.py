"""The map of reporting names every module, and the pure ones as the contract does."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "quartapp.reporting."


def section() -> str:
    text = (ROOT / "docs" / "reporting.md").read_text(encoding="utf-8")
    return text.partition("## Where a line of code belongs")[2].partition("\n## ")[0]


def test_the_map_names_every_module() -> None:
    modules = {path.stem for path in (ROOT / "quartapp" / "reporting").glob("*.py")}
    table = [line for line in section().splitlines() if line.startswith("|")]
    assert modules - {"__init__"} == set(re.findall(r"`(\w+)`", "".join(table)))


def test_the_map_marks_what_is_pure() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pure = next(
        contract["source_modules"]
        for contract in contracts["tool"]["importlinter"]["contracts"]
        if contract["name"].endswith("is pure")
    )
    marked = set(re.findall(r"`(\w+)`\*", section()))
    assert marked == {name.removeprefix(PACKAGE) for name in pure}
