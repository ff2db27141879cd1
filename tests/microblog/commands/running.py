"""Running the command `quart` in this process."""

import sys
from unittest.mock import patch

from click.testing import CliRunner, Result
from quart.cli import cli


def quart(*arguments: str, given: str | None = None) -> Result:
    """`quart --app quartapp ARGUMENTS`; `given` is what is typed."""
    with patch.object(sys, "path", list(sys.path)):  # `quart` adds the working directory
        return CliRunner().invoke(cli, ["--app", "quartapp", *arguments], given)
