"""docs/architecture.md draws the layers that the contracts enforce."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("place", "container"),
    [(1, "quartapp"), (3, "quartapp.microblog"), (5, "quartapp.reporting")],
)
def test_the_layers_are_those_of_the_contract(place: int, container: str) -> None:
    drawn = TEXT.partition("## Who may import whom")[2].split("```")[place].split("\n")
    [layers] = [
        contract["layers"]
        for contract in PROJECT["tool"]["importlinter"]["contracts"]
        if contract.get("containers") == [container]
    ]
    assert [line for line in drawn if line] == layers
