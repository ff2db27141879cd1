"""The command `quartapp new`."""

import os
from importlib.util import find_spec
from pathlib import Path

import click

from quartapp.extras import needs
from quartapp.starter.names import fault_of
from quartapp.starter.writer import write

_TEST_LIBRARIES = ("pytest", "pytest_asyncio", "aiosmtpd")


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write an application to start from into the folder NAME."""
    if fault := fault_of(name):
        raise click.ClickException(fault)
    target = Path(name)
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise click.ClickException(f"{name!r} exists already, and is not an empty folder.")
    try:
        write(name, target)
    except OSError as error:
        raise click.ClickException(f"{name!r} cannot be written: {error.strerror}.") from error
    click.echo(
        f"The application {name} is in the folder {name}. Next:\n\n"
        f"    cd {name}\n    pytest\n    quart db upgrade\n    quart dev"
    )
    if not all(map(find_spec, _TEST_LIBRARIES)):
        click.echo(f"\nThe command pytest {needs('testing')}")
