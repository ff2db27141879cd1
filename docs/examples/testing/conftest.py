from pathlib import Path

import pytest
from guestbook import create_app  # type: ignore[import-not-found]  # pytest finds it beside this file
from quart import Quart


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    made: Quart = create_app(instance_path=str(tmp_path))  # error reports are in a new folder
    return made
