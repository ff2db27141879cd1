"""Some hundreds of generated groups; `python -m tests.flasklike.groups` compares many more."""

import pytest

from tests.flasklike.groups.mutants import MUTANTS
from tests.flasklike.groups.trees import Trial, tree

SAMPLE = 300


async def first_difference(count: int) -> str:
    for seed in range(count):
        difference = (await Trial(tree(seed)).run()).difference()
        if difference:
            return f"seed {seed}: {tree(seed)}\n{difference}"
    return ""


@pytest.mark.slow
async def test_groups_are_answered_as_the_page_says() -> None:
    assert await first_difference(SAMPLE) == ""


@pytest.mark.parametrize("rule", MUTANTS)
async def test_generated_groups_show_when_it_does_not_hold_that(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    MUTANTS[rule](monkeypatch)
    assert await first_difference(1000)
