"""Commands need no SECRET_KEY, as they sign nothing; what serves needs one."""

from pathlib import Path

import click
import pytest
from quart.cli import cli, run_command, shell_command

from quartapp import create_app
from quartapp.settings import ConfigurationError


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SECRET_KEY", "ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("command", [None, shell_command])
def test_quart_makes_an_application_with_a_key_for_this_process(
    command: click.Command | None,
) -> None:
    root = click.Context(cli)
    with root if command is None else click.Context(command, parent=root):
        assert create_app().config["SECRET_KEY"] != create_app().config["SECRET_KEY"]


@pytest.mark.parametrize(
    "context",
    [
        click.Context(run_command, parent=click.Context(cli)),
        click.Context(click.Command("uvicorn")),  # its command line is click's
    ],
    ids=["quart run", "uvicorn"],
)
def test_what_serves_needs_one(context: click.Context) -> None:
    with context, pytest.raises(ConfigurationError, match="SECRET_KEY: is required"):
        create_app()
