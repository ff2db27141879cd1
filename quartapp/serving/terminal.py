"""What a server writes to standard error, and whether its terminal is still there."""

import os
import sys


def say(sentence: str) -> None:
    """Write a sentence to stderr."""
    print(f"quartapp: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 it is for the terminal


def refuse(sentence: str, code: int) -> int:
    """Write why nothing is served to stderr, and return the exit code."""
    say(sentence)
    return code


def has_terminal() -> bool:
    """Whether this process has a controlling terminal.

    A terminal that is closed sends SIGHUP too, and then means what it always did: stop.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
