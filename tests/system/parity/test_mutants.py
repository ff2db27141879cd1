"""The differential run detects that a rule of error handling is broken, for each rule."""

import asyncio
import importlib
from typing import Any

import pytest

from quartapp.flasklike import App
from tests.system.parity.compare import compare, execute
from tests.system.parity.generate import generate
from tests.system.parity.mutants import MUTANTS
from tests.system.parity.sides import FLASK, FlasklikeSide
from tests.system.parity.specification import Spec

for module in ("handlers", "errors", "requests"):  # each adds its mutants to the table
    importlib.import_module(f"tests.system.parity.mutants_{module}")

ENOUGH = 3000


class Mutated(FlasklikeSide):
    def __init__(self, app_class: type[App]) -> None:
        self.app_class = app_class


@pytest.fixture(scope="module")
def on_flask() -> list[tuple[Spec, list[Any]]]:
    """The first specifications and what happens on Flask: the same for every mutant."""
    return []


async def first_difference(app_class: type[App], on_flask: list[tuple[Spec, list[Any]]]) -> Spec:
    mutated = Mutated(app_class)
    for seed in range(ENOUGH):
        if seed == len(on_flask):
            spec = generate(seed)
            on_flask.append((spec, (await asyncio.create_task(execute(spec, FLASK))).events))
        spec, expected = on_flask[seed]
        if (await asyncio.create_task(execute(spec, mutated))).events != expected:
            return spec
    pytest.fail(f"{ENOUGH} specifications and no difference")


@pytest.mark.parametrize("rule", MUTANTS)
async def test_sees_when_it_does_not_hold_that(
    rule: str, on_flask: list[tuple[Spec, list[Any]]]
) -> None:
    spec = await first_difference(MUTANTS[rule], on_flask)
    unspoiled = await compare(spec)
    assert not unspoiled.differs, "it is not the mutation that was seen"
    await asyncio.sleep(0.1)  # for the tasks that a mutant leaves behind
