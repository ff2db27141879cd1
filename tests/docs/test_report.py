"""The map of reporting names every module, and calls those pure that the contract does."""

import re
import tomllib
from dataclasses import asdict
from pathlib import Path

from quartapp.reporting.alerts.policy import Kind, Limits
from quartapp.reporting.settings import ReportingSettings

ROOT = Path(__file__).parents[2]
PARTS = ("reporting", "redact", "logfile", "mail")


def section(title: str = "Where a line of code belongs") -> str:
    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


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


def test_each_form_of_an_error_is_made_where_the_table_says() -> None:
    for line in section("What an error is on its way").splitlines()[4:]:
        _, _, forms, _, makers, _ = line.split("|")
        sources = [source_of(maker) for maker in re.findall(r"`([a-z_.]+)`", makers)]
        for form in re.findall(r"`(\w+)`", forms):
            assert any(re.search(rf"\b{form}\b", source) for source in sources), form


def source_of(name: str) -> str:
    [module] = [one for part in PARTS for one in modules_of(part) if name_in_map(one) == name]
    return (ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")


def test_the_states_of_a_group_name_every_mail_and_every_limit() -> None:
    text = section("When a group is mailed")
    assert {kind.name for kind in Kind} == set(re.findall(r"\b[A-Z]{3,}\b", text))
    shown = dict(re.findall(r"^\| `(\w+)` \| (\S+)", text, re.MULTILINE))
    limits = {name: f"{value:g}" if value else "no" for name, value in asdict(Limits()).items()}
    assert shown == limits
    for name in limits:
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name


def test_every_setting_is_in_the_table_for_other_applications() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|", section("In your application"), re.MULTILINE)
    assert sorted(rows) == sorted(name.upper() for name in ReportingSettings.model_fields)
