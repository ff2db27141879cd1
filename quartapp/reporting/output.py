"""Writing to standard output, which may be on a full disk or a pipe without a reader."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

import click


class Commands(click.Group):
    """A group whose commands and help exit with one sentence if the output cannot be written.

    The commands write with `say`.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **kw: Any
    ) -> click.Context:
        """Create the context. This also writes the group's `--help`."""
        with _in_a_sentence():
            return super().make_context(info_name, args, parent, **kw)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Other characters appear as escapes on a Latin-1 terminal.
            sys.stdout.reconfigure(errors="backslashreplace")
        with _in_a_sentence():
            return super().invoke(ctx)


def say(text: str) -> None:
    """Write a line to standard output, and flush it.

    Raises ClickException if it cannot be written, and Exit if the reader (such as `head`) is gone.
    """
    with _in_a_sentence():
        click.echo(text)


@contextlib.contextmanager
def _in_a_sentence() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _discard()
        if isinstance(error, BrokenPipeError):
            raise click.exceptions.Exit(1) from error
        text = f"Standard output cannot be written: {error.strerror or error}."
        raise click.ClickException(text) from error


def _discard() -> None:
    """Discard the buffer: otherwise Python writes it again on exit, and prints an error."""
    with contextlib.suppress(OSError, ValueError):  # standard output may not be a file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
