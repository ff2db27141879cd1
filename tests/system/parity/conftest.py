"""Flask does not close the temporary file of a truncated upload: its collection gives a warning."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

WARNING = "ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings(WARNING))


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """Collect garbage now, so that the warnings come in these tests and not in the next."""
    yield
    gc.collect()
