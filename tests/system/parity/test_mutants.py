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

for module in (
    "handlers",
    "errors",
    "requests",
    "groups",
    "bodies",
    "threads",
):  # each adds its mutants to the table
    importlib.import_module(f"tests.system.parity.mutants_{module}")

ENOUGH = 3000

BEGIN = {
    "an inner blueprint's handler goes before an outer one's": 797,
    "a URL that cannot be built is offered to the handlers of such errors": 797,
    "errors without a code, and redirects of the router, reach no handler": 339,
}
"""Where the search begins for what few specifications show; it goes on to all others."""


class Mutated(FlasklikeSide):
    def __init__(self, app_class: type[App]) -> None:
        self.app_class = app_class


@pytest.fixture(scope="module")
def on_flask() -> dict[int, tuple[Spec, list[Any]]]:
    """Specifications by their seeds, and what happens on Flask: the same for every mutant."""
    return {}


async def first_difference(rule: str, on_flask: dict[int, tuple[Spec, list[Any]]]) -> Spec:
    mutated, begin = Mutated(MUTANTS[rule]), BEGIN.get(rule, 0)
    for seed in (*range(begin, ENOUGH), *range(begin)):
        if seed not in on_flask:
            spec = generate(seed)
            on_flask[seed] = spec, (await asyncio.create_task(execute(spec, FLASK))).events
        spec, expected = on_flask[seed]
        if (await asyncio.create_task(execute(spec, mutated))).events != expected:
            return spec
    pytest.fail(f"{ENOUGH} specifications and no difference")


@pytest.mark.parametrize("rule", MUTANTS)
async def test_sees_when_it_does_not_hold_that(
    rule: str, on_flask: dict[int, tuple[Spec, list[Any]]]
) -> None:
    spec = await first_difference(rule, on_flask)
    unspoiled = await compare(spec)
    assert not unspoiled.differs, "it is not the mutation that was seen"
    await asyncio.sleep(0.1)  # for the tasks that a mutant leaves behind
