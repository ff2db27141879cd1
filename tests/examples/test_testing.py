"""docs/examples/testing, from the wheel: its suite passes, and its fault is found."""

from collections.abc import Callable

import pytest

from tests.examples.conftest import Example

PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis")


@pytest.mark.slow
def test_its_suite_passes_strictly(example: Callable[[str], Example]) -> None:
    assert "7 passed" in example("testing").run(*PYTEST).stdout


@pytest.mark.slow
def test_its_fault_is_found(example: Callable[[str], Example]) -> None:
    output = example("testing").run(*PYTEST, "slow_fault.py", code=1).stdout
    assert "1 passed, 1 error" in output
    assert "slow held up the event loop for more than 100 ms, at guestbook.py:" in output
