"""What commands say on standard output, which may be a full disk or a pipe that nobody reads."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

import click


class UnwrittenError(click.ClickException):
    """Standard output takes no more; one sentence, or silence where its reader has left."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"Standard output cannot be written: {error.strerror or error}.")
        self.is_silent = isinstance(error, BrokenPipeError)

    def show(self, file: Any = None) -> None:
        """Say it, unless `head` or a pager has simply seen enough."""
        if not self.is_silent:
            super().show(file)


class Commands(click.Group):
    """A group whose commands `say` their results, and end in a sentence where they cannot.

    For the help that click itself writes too.
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
    """Write a line to standard output, at once. Raises UnwrittenError."""
    with _in_a_sentence():
        click.echo(text)


@contextlib.contextmanager
def _in_a_sentence() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _give_up()
        raise UnwrittenError(error) from error


def _give_up() -> None:
    """Let what is buffered go nowhere: Python would try once more at its end, and complain."""
    with contextlib.suppress(OSError, ValueError):  # a standard output that is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
