import asyncio
from collections import Counter

import pytest

from tests.system.parity import specification
from tests.system.parity import vocabulary as words
from tests.system.parity.answering import AWAITED_RETURNS, RETURNS, STREAMS
from tests.system.parity.compare import execute
from tests.system.parity.generate import generate
from tests.system.parity.reading import AWAITED_READS, READS
from tests.system.parity.sides import FLASK
from tests.system.parity.specification import Spec
from tests.system.parity.steps import CHANGES, RENDERS, WRITES

ENOUGH = 2000


def test_makes_the_same_specification_from_the_same_seed() -> None:
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)


def test_prints_as_the_python_that_makes_it() -> None:
    for seed in range(50):
        spec = generate(seed)
        assert eval(repr(spec), vars(specification)) == spec


def chosen(spec: Spec) -> Counter[str]:
    """The words of the specification that are settings and not calls."""
    words_of = Counter(f"config {name} {value}" for name, value in spec.config)
    words_of.update(f"session {spec.session}" for _ in "x")
    words_of.update(f"override {name}" for name in spec.overrides)
    words_of.update([f"late {spec.late}", f"preserve {spec.preserve}"])
    for request in spec.requests:
        words_of.update([f"body {request.body}", f"method {request.method}"])
    for scope in spec.scopes:
        words_of.update(f"key {handler.key}" for handler in scope.handlers)
        words_of.update(f"style {route.style}" for route in scope.routes)
    return words_of


def test_chooses_every_word_within_the_number_of_specifications_that_make_test_runs() -> None:
    found = Counter[str]()
    for seed in range(ENOUGH):
        found += chosen(generate(seed))
    expected = [f"config {flag} {value}" for flag in words.FLAGS for value in words.FLAGS[flag]]
    expected += [f"session {name}" for name in words.SESSIONS]
    expected += [f"override {name}" for name in words.OVERRIDES]
    expected += [f"late {name}" for name in words.LATE]
    expected += [f"body {name}" for name in words.BODIES]
    expected += [f"method {name}" for name in words.METHODS]
    expected += [f"key {name}" for name in (*words.KEYS, *words.BAD_KEYS)]
    expected += ["preserve True", "style method_view", "style view", "style view_static"]
    assert not [word for word in expected if not found[word]]


@pytest.fixture(scope="module")
def exercised() -> Counter[str]:
    async def run_all() -> Counter[str]:
        marks = Counter[str]()
        for seed in range(ENOUGH):
            marks += (await asyncio.create_task(execute(generate(seed), FLASK))).marks
        return marks

    return asyncio.run(run_all())


def test_exercises_every_verb_on_every_object(exercised: Counter[str]) -> None:
    """It is not enough that a step is generated: its function must have run up to it."""
    expected = [f"raise {name}" for name in (*words.RAISES, "again", "argument", "chained")]
    expected += [f"return {name}" for name in (*RETURNS, *AWAITED_RETURNS, *STREAMS, "argument")]
    expected += [f"read {name}" for name in (*READS, *AWAITED_READS)]
    expected += [f"afterwards {name}" for name in AWAITED_READS]
    expected += [f"write {name}" for name in (*WRITES, "flash")]
    expected += [f"render {name}" for name in RENDERS]
    expected += [f"change {name}" for name in CHANGES]
    expected += [f"call {name}" for name in (*words.HOOKS, "view", "handler")]
    expected += [f"signal {name}" for name in words.SIGNALS]
    assert not [word for word in expected if not exercised[word]]


def test_reaches_every_kind_of_answer(exercised: Counter[str]) -> None:
    codes = "200 201 204 302 304 308 400 401 403 404 405 409 410 413 415 418 429 500 503 507"
    expected = [*codes.split(), "raised"]
    assert not [code for code in expected if not exercised[f"status {code}"]]
    assert (
        exercised["status raised"]
        < sum(count for mark, count in exercised.items() if mark.startswith("status ")) * 0.4
    )
