"""A reader who follows an error from the view to the journal opens a bounded number of files.

`pytest -s tests/reporting/test_way_of_an_error.py` prints them in the order in which they run.
"""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import CodeType, FrameType

import pytest
from quart.typing import TestClientProtocol as Client
from sqlalchemy.exc import IntegrityError

import quartapp
from quartapp.flasklike import App
from quartapp.reporting.pipeline import Pipeline
from tests.shop.app import create_app, create_tables, failed_flush

LIMIT = 25
PACKAGE = Path(quartapp.__file__).parent


class Way:
    """The files of the package that run between `begin` and `end`, one entry per change of file."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def begin(self) -> None:
        sys.setprofile(self._watch)

    def end(self) -> None:
        sys.setprofile(None)

    def _watch(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            self._enter(frame.f_code)
        elif event == "return" and frame.f_back is not None:
            self._enter(frame.f_back.f_code)

    def _enter(self, code: CodeType) -> None:
        path = Path(code.co_filename)
        if path.is_relative_to(PACKAGE):
            name = str(path.relative_to(PACKAGE))
            if self.files[-1:] != [name]:
                self.files.append(name)


@pytest.fixture
async def app(tmp_path: Path, database_url: str) -> AsyncIterator[App]:
    app = create_app(tmp_path, database_url, name="quartapp", LOG_TO_STDOUT=True)
    await create_tables(app)
    async with app.test_app():
        yield app


async def test_the_way_from_the_view_to_the_journal_is_short(
    app: App, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = Way()
    pipeline: Pipeline = app.extensions["reporting"]
    pipeline.recorder.prepare()  # as it is a second after the start
    append = pipeline.journal.append

    def last_step(payload: bytes) -> bool:
        written = append(payload)
        way.end()
        return written

    async def fail() -> str:
        try:
            return await failed_flush()
        except IntegrityError:
            way.begin()
            raise

    app.add_url_rule("/fail", view_func=fail, methods=["POST"])
    monkeypatch.setattr(pipeline.journal, "append", last_step)
    headers = {"Cookie": "session=abcd1234", "User-Agent": "Bücherwurm"}
    form = {"password": "letmein!"}
    response = await client.post("/fail?name=flushed", headers=headers, form=form)
    assert response.status_code == 500
    files = dict.fromkeys(way.files)
    print(f"\n{len(files)} files, {len(way.files)} changes of file", *files, sep="\n")
    assert {"flasklike/dispatch.py", "reporting/journal/writer.py"} <= files.keys()
    assert len(files) <= LIMIT
