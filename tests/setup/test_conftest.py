"""What the suite does for all of its tests."""

import gc
import weakref

import pytest

from tests.conftest import pytest_runtest_teardown


class Ring:
    """Something that only a collection frees."""

    def __init__(self) -> None:
        self.itself = self


def test_what_a_test_has_not_closed_is_found_at_the_end(request: pytest.FixtureRequest) -> None:
    gc.disable()
    try:
        left = weakref.ref(Ring())
        pytest_runtest_teardown(request.node)
        assert left() is not None
        pytest_runtest_teardown(None)
        assert left() is None
    finally:
        gc.enable()
