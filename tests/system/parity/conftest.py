"""Flask leaves the temporary file of a truncated upload to the collector, which warns of it."""

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
    """The warnings belong to these tests, not to whichever run next."""
    yield
    gc.collect()
