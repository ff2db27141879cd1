"""Running the command `quart` in this process."""

import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from click.testing import CliRunner, Result
from quart.cli import cli

from quartapp.microblog.migrate import migrate


@cache
def migrated() -> bytes:
    """An empty SQLite database that was migrated, as a file: to copy it is faster."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "migrated.db")
        migrate(f"sqlite:///{file}")
        return file.read_bytes()


def quart(*arguments: str, given: str | None = None) -> Result:
    """`quart --app quartapp ARGUMENTS`; `given` is what is typed."""
    with patch.object(sys, "path", list(sys.path)):  # `quart` adds the working directory
        return CliRunner().invoke(cli, ["--app", "quartapp", *arguments], given)
