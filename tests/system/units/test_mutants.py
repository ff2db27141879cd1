"""The comparison detects that a promise of the database is broken, for each promise."""

from pathlib import Path

import pytest

from tests.system.units.campaign import sides
from tests.system.units.generate import generate
from tests.system.units.mutants import MUTANTS
from tests.system.units.run import run

pytestmark = [
    pytest.mark.slow,
    # Of statements and sessions that are used wrongly on purpose.
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
]

ENOUGH = 1500

BEGIN = {
    "a boolean is no integer": 16,
    "what is not committed nobody else sees": 25,
    "several writes are one transaction": 11,
    "each read asks the database": 248,
    "a parameter that is missing is an error": 18,
    "an UPDATE sets the columns of its values": 48,
    "a write that is cancelled has happened as a whole or not at all": 11,
    "a cancellation is raised": 49,
}
"""Where the search begins for what few cases show; it goes on to all others."""


@pytest.mark.parametrize("promise", MUTANTS)
async def test_sees_when_it_does_not_hold_that(promise: str, tmp_path: Path) -> None:
    url, oracle_url = (f"sqlite:///{tmp_path / name}.db" for name in ("subject", "oracle"))
    begin = BEGIN.get(promise, 0)
    async with sides(url, oracle_url, MUTANTS[promise]) as (subject, oracle):
        is_seen = False
        for seed in (*range(begin, ENOUGH), *range(begin)):
            if is_seen := bool(await run(generate(seed, for_sqlite=True), subject, oracle)):
                break
    assert is_seen, f"{ENOUGH} cases and no difference"
