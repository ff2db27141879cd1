"""Generated templates give the text of Flask, although what they meet has to be awaited."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from quartapp.flasklike import App
from tests.system.parity.compare import compare, execute
from tests.system.parity.mutants_templates import MUTANTS
from tests.system.parity.sides import FLASK, FLASKLIKE, FlasklikeSide
from tests.system.parity.specification import Spec
from tests.system.parity.templates import SYMBOLS, specification

SPECIFICATIONS = 80
ENOUGH = 2000


class Mutated(FlasklikeSide):
    def __init__(self, app_class: type[App]) -> None:
        self.app_class = app_class


@pytest.fixture(scope="module")
def on_flask() -> dict[int, tuple[Spec, list[Any]]]:
    """Specifications by their seeds, and what happens on Flask."""
    return {}


Known = dict[int, tuple[Spec, list[Any]]]


async def expected(seed: int, on_flask: Known) -> tuple[Spec, list[Any]]:
    if seed not in on_flask:
        spec = specification(seed)
        on_flask[seed] = spec, (await asyncio.create_task(execute(spec, FLASK))).events
    return on_flask[seed]


async def test_templates_give_the_text_of_flask(on_flask: Known) -> None:
    statuses = Counter[Any]()
    for seed in range(SPECIFICATIONS):
        spec, events = await expected(seed, on_flask)
        found = (await asyncio.create_task(execute(spec, FLASKLIKE))).events
        if found != events:
            pytest.fail(f"seed {seed}: {spec}\n{(await compare(spec)).report()}")
        statuses.update(event[1] for event in events if event[0] == "answer")
    assert statuses[200] > SPECIFICATIONS * 0.8
    assert statuses.total() > statuses[200]


def test_a_specification_depends_on_its_seed_alone() -> None:
    assert specification(7) == specification(7)
    assert specification(7) != specification(8)


def test_every_expression_and_statement_is_generated() -> None:
    pieces = {piece for pieces in SYMBOLS.values() for piece in pieces}
    sources = "".join(repr(specification(seed)) for seed in range(1500)).replace("\\'", "'")
    missing = [piece for piece in pieces if not any_piece(piece) and piece not in sources]
    assert missing == []


def any_piece(piece: str) -> bool:
    """Whether it has symbols, which are replaced in a source."""
    return any(symbol in piece for symbol in SYMBOLS)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("rule", MUTANTS)
async def test_sees_when_it_does_not_hold_that(rule: str, on_flask: Known) -> None:
    mutated = Mutated(MUTANTS[rule])
    for seed in range(ENOUGH):
        spec, events = await expected(seed, on_flask)
        if (await asyncio.create_task(execute(spec, mutated))).events != events:
            assert not (await compare(spec)).differs, "it is not the mutation that was seen"
            return
    pytest.fail(f"{ENOUGH} specifications and no difference")
