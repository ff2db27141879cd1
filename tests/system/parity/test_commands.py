"""Commands run as Flask's, and the comparison would notice if they did not."""

import gc
import warnings

import pytest

from tests.system.parity.commands import FLASK, OURS, generate, run
from tests.system.parity.mutants_commands import MUTANTS

SEEDS = 150


def differs(seed: int) -> bool:
    spec = generate(seed)
    return run(spec, OURS) != run(spec, FLASK)


def test_commands_run_as_flasks() -> None:
    for seed in range(SEEDS):
        spec = generate(seed)
        assert run(spec, OURS) == run(spec, FLASK), f"seed {seed}: {spec}"


@pytest.mark.parametrize("rule", MUTANTS)
def test_a_broken_rule_is_found(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for (owner, name), replacement in MUTANTS[rule].items():
        monkeypatch.setattr(owner, name, replacement)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert any(differs(seed) for seed in range(SEEDS))
        gc.collect()  # the coroutines that a mutant did not await
