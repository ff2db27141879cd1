"""`quartapp reload`, which finds the server by a file."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from quartapp.serving.command import reload


@pytest.mark.parametrize(
    ("arguments", "environment", "file"),
    [
        ([], {}, "instance/server.pid"),
        ([], {"INSTANCE_PATH": "/data"}, "/data/server.pid"),
        ([], {"INSTANCE_PATH": "/data", "PID_FILE": "/run/site.pid"}, "/run/site.pid"),
        (["--pid-file", "own.pid"], {"PID_FILE": "/run/site.pid"}, "own.pid"),
    ],
)
def test_the_file_is_that_of_the_settings(
    arguments: list[str],
    environment: dict[str, str],
    file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    none: dict[str, str | None] = {"INSTANCE_PATH": None, "PID_FILE": None}
    done = CliRunner().invoke(reload, arguments, env=none | environment)
    said = f"Error: the reload failed: no server runs that has the file {file}\n"
    assert (done.exit_code, done.output) == (1, said)
