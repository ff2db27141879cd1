"""docs/architecture.md draws the layers that the contracts enforce."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_layers_are_those_of_the_contract() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    drawn = text.partition("## Who may import whom")[2].split("```")[1].split("\n")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [layers] = [
        contract["layers"]
        for contract in contracts["tool"]["importlinter"]["contracts"]
        if contract.get("containers") == ["quartapp"]
    ]
    assert [line for line in drawn if line] == layers
