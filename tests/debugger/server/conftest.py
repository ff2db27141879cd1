"""An application of a developer."""

from pathlib import Path

import pytest

from tests.debugger.development import APPLICATION


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APPLICATION)
    return tmp_path
