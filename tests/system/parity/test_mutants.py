"""Each rule of error handling, broken on purpose, is seen by the differential run."""

import asyncio
import importlib

import pytest

from quartapp.flasklike import App
from tests.system.parity.campaign import campaign
from tests.system.parity.compare import compare
from tests.system.parity.mutants import MUTANTS
from tests.system.parity.sides import FLASK, FlasklikeSide

for module in ("handlers", "errors", "requests"):  # each enters its mutants into the table
    importlib.import_module(f"tests.system.parity.mutants_{module}")

ENOUGH = 3000


class Mutated(FlasklikeSide):
    def __init__(self, app_class: type[App]) -> None:
        self.app_class = app_class


@pytest.mark.parametrize("rule", MUTANTS)
async def test_sees_when_it_does_not_hold_that(rule: str) -> None:
    result = await campaign(range(ENOUGH), FLASK, Mutated(MUTANTS[rule]), shrunk=False)
    assert result.failures, f"{ENOUGH} specifications and no difference"
    [failure] = result.failures
    unspoiled = await compare(failure.spec)
    assert not unspoiled.differs, "it is not the mutation that was seen"
    await asyncio.sleep(0.1)  # for the tasks that a mutant leaves behind
