"""The size of a request is checked before it is processed, and the response repeats little of
it."""

import base64
import json
from collections.abc import Callable

import pytest

from quartapp.microblog.api.bodies import MOST_FAULTS, MOST_KEYS
from quartapp.reporting import Report
from tests.costs import TOLERATED, growth, marks
from tests.microblog.api.conftest import Caller
from tests.microblog.api.test_bad_input import GOOD, JSON


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


def keys(number: int) -> bytes:
    return json.dumps({f"k{count}": 1 for count in range(number)}, separators=(",", ":")).encode()


@pytest.mark.slow
async def test_a_body_of_unknown_keys_has_a_short_answer(nobody: Caller) -> None:
    for data in (keys(MOST_KEYS + 1), keys(75_000), b'{"":' + keys(75_000) + b"}"):
        answer = await nobody("POST", "/api/users", data=data, headers=JSON)
        assert answer.status in {400, 422}
        assert len(answer.text) < 10_000


async def test_a_body_with_too_many_keys_is_a_bad_request(nobody: Caller) -> None:
    answer = await nobody("POST", "/api/users", data=keys(MOST_KEYS + 1), headers=JSON)
    assert (answer.status, answer.problem["code"]) == (400, "bad-request")
    assert f"more than {MOST_KEYS} fields" in answer.problem["detail"]


async def test_as_many_faults_are_named_as_people_read(nobody: Caller) -> None:
    data = json.dumps({"username": ""} | {f"key{count}": 1 for count in range(90)})
    answer = await nobody("POST", "/api/users", data=data, headers=JSON)
    faults = answer.problem["errors"]
    assert (answer.status, len(faults)) == (422, MOST_FAULTS + 1)
    assert {"username", "email", "password"} <= set(answer.fields)
    assert faults[-1] == {"field": "", "message": "73 more fields are wrong."}


async def test_the_name_of_an_unknown_key_is_repeated_in_part(nobody: Caller) -> None:
    answer = await nobody("POST", "/api/users", GOOD | {"k" * 900_000: 1})
    assert (answer.status, list(answer.fields)) == (422, ["k" * 64 + "..."])


DEEP = [b"[" * 1_000 + b"]" * 1_000, b'{"a":' * 1_000 + b"1" + b"}" * 1_000]


@pytest.mark.parametrize("data", [*DEEP, b'{"username":' + DEEP[0] + b"}"])
async def test_deep_nesting_is_a_bad_request(
    nobody: Caller, captured_reports: list[Report], data: bytes
) -> None:
    answer = await nobody("POST", "/api/users", data=data, headers=JSON)
    assert (answer.status, answer.problem["code"]) == (400, "bad-request")
    assert captured_reports == []


BODIES: dict[str, Callable[[int], bytes]] = {
    "keys": keys,
    "one key": lambda size: b"{" + b'"a":1,' * size + b'"a":1}',
    "known key": lambda size: b"{" + b'"username":1,' * size + b'"a":1}',
    "list": lambda size: b'{"username":[' + b"1," * size + b"1]}",
    "depth": lambda size: b"[" * size,
    "digits": lambda size: b"1" * size,
    "escapes": lambda size: b'"' + b"\\u0301" * size + b'"',
    "white space": lambda size: b" " * size,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BODIES)
async def test_json_costs_no_more_than_its_size(nobody: Caller, kind: str) -> None:
    async def post(size: int) -> None:
        data = BODIES[kind](size)
        assert 400 <= (await nobody("POST", "/api/users", data=data, headers=JSON)).status < 500

    assert await growth(post, 15_000) < TOLERATED
