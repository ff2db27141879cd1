"""Writing to standard output, which may be a full disk or a pipe whose reader is gone."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

import click


class Commands(click.Group):
    """A group whose commands `say` their results, and end with one sentence if they cannot.

    So does the help, which click writes itself.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **kw: Any
    ) -> click.Context:
        """The context, after the group's own `--help`."""
        with _in_a_sentence():
            return super().make_context(info_name, args, parent, **kw)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal that knows only Latin-1 shows the rest as escapes.
            sys.stdout.reconfigure(errors="backslashreplace")
        with _in_a_sentence():
            return super().invoke(ctx)


def say(text: str) -> None:
    """Write a line to standard output, at once.

    Raises ClickException if it cannot be written, and Exit if its reader (`head`, say) has ended.
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
    """Discard the buffer: Python would try to write it again on exit, and print an error."""
    with contextlib.suppress(OSError, ValueError):  # a standard output that is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
