"""The project's database and SQLAlchemy's own agree on random units of work."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from tests.system.units import statements
from tests.system.units.campaign import first_difference, main, sides
from tests.system.units.case import Case, Step
from tests.system.units.generate import generate
from tests.system.units.run import run
from tests.system.units.sides import Oracle, Subject

# Of statements and sessions that are used wrongly on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")

SEEDS = {
    # In the last one a write returns what the type of its column cannot read.
    "sqlite": (*range(40), 644_441_710),
    "postgresql": range(500, 515),
}


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.fixture
async def both(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Subject, Oracle]]:
    other = f"sqlite:///{tmp_path / 'oracle.db'}"
    oracle_url = other if database_url.startswith("sqlite") else database_url
    async with sides(database_url, oracle_url) as opened:
        yield opened


async def test_the_sides_agree(both: tuple[Subject, Oracle]) -> None:
    seeds = SEEDS["sqlite" if both[0].is_sqlite else "postgresql"]
    assert await first_difference(seeds, *both) == ""


async def test_a_difference_is_described(both: tuple[Subject, Oracle]) -> None:
    subject, oracle = both
    await subject.reset()
    await oracle.reset()
    await subject.execute("UPDATE people SET epoch = 9")
    oracle.reset = subject.reset = nothing  # type: ignore[method-assign]
    [found] = await run(Case((), (), ()), subject, oracle)
    assert found.startswith("people contains")


async def test_a_type_changes_under_a_prepared_statement(both: tuple[Subject, Oracle]) -> None:
    texts = ((number, str(statements.build(number, for_sqlite=True).element)) for number in count())
    number = next(number for number, sql in texts if sql.startswith("SELECT counters"))
    steps = (Step("read"), Step("commit"), Step("alter", statement=4), Step("read"))
    assert await run(Case((number,), (True,), steps), *both) == []


async def nothing() -> None:
    pass


@pytest.mark.parametrize("for_sqlite", [True, False])
def test_a_seed_makes_one_case_in_which_nobody_waits(for_sqlite: bool) -> None:
    cases = [generate(seed, for_sqlite=for_sqlite) for seed in range(50)]
    assert all(case.never_waits() for case in cases)
    assert [str(case) for case in cases] == [
        str(generate(seed, for_sqlite=for_sqlite)) for seed in range(50)
    ]


def test_a_case_is_refused_in_which_somebody_would_wait() -> None:
    steps = (Step("execute", 0), Step("execute", 1))
    assert not Case((1,), (True, True), steps).never_waits()
    assert Case((1,), (True, True), (steps[0], Step("commit", 0), steps[1])).never_waits()
    assert not Case((1,), (True,), (steps[0], Step("database.write"))).never_waits()
    assert not Case((1,), (False,), (steps[0], Step("alter"))).never_waits()


def test_says_the_seed_before_it_starts(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--seed", "11", "--count", "1", "--database", "sqlite"])
    assert "1 cases from seed 11" in capsys.readouterr().out
