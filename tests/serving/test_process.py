"""What a worker says of its failure."""

import runpy
from pathlib import Path

import pytest

from quartapp.serving.process import reason_of


def test_the_reason_names_the_place_in_the_program(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    with pytest.raises(FileNotFoundError) as missing:
        runpy.run_path(str(program))
    assert "<frozen" not in reason_of(missing.value)
    program.write_text("import sys\n\ndef broken(:\n")
    with pytest.raises(SyntaxError) as broken:
        runpy.run_path(str(program))
    assert reason_of(broken.value) == f"SyntaxError: invalid syntax ({program}:3)"
