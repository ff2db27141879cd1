"""An application whose errors stay in the journal, and what is in there."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from quartapp.flasklike import App
from quartapp.reporting.journal.entries import Entry, decode
from quartapp.reporting.journal.segments import list_segments, open_segment
from quartapp.reporting.pipeline import Pipeline
from tests.shop.app import create_app, create_tables

Records = Callable[[], list[Entry]]


@pytest.fixture
def unstarted(tmp_path: Path, database_url: str) -> App:
    """An application whose errors stay in the journal, which the tests read.

    Its logger is the parent of those of the parts.
    """
    app = create_app(tmp_path, database_url, name="quartapp", LOG_TO_STDOUT=True)
    app.extensions["reporting"].consumer.consume = no_consume
    return app


async def no_consume(_seconds: float = 0) -> int:
    return 0


@pytest.fixture
async def app(unstarted: App) -> AsyncIterator[App]:
    await create_tables(unstarted)
    async with unstarted.test_app():
        yield unstarted


@pytest.fixture
def records(app: App) -> Records:
    pipeline: Pipeline = app.extensions["reporting"]

    def read() -> list[Entry]:
        entries: list[Entry] = []
        for path in list_segments(pipeline.journal.folder):
            with open_segment(path) as reading:
                assert reading is not None
                entries += map(decode, reading.read(0).payloads)
        return entries

    return read
