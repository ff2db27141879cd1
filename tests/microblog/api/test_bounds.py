"""What programs send is bounded before it is processed, and so is what the answer repeats."""

import base64

import pytest

from tests.costs import TOLERATED, growth, marks
from tests.microblog.api.conftest import Caller
from tests.microblog.api.test_bad_input import GOOD


@pytest.mark.parametrize("field", GOOD)
async def test_runs_of_marks_cost_no_more_than_their_size(nobody: Caller, field: str) -> None:
    async def register(size: int) -> None:
        answer = await nobody("POST", "/api/users", GOOD | {field: marks(size)})
        assert (answer.status, list(answer.fields)) == (422, [field])

    assert await growth(register, 3_000) < TOLERATED


async def test_runs_of_marks_in_a_password_are_not_hashed(nobody: Caller) -> None:
    async def enter(size: int) -> None:
        headers = {"Authorization": basic("susan", marks(size))}
        assert (await nobody("POST", "/api/tokens", headers=headers)).status == 401

    assert await growth(enter, 3_000) < TOLERATED


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
