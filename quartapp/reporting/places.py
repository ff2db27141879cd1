"""Where a frame's code belongs: to the application, or to a library."""

from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """A source file. `name` is relative to the application or the library, so that it is the same
    on every machine."""

    name: str
    in_app: bool


class Places:
    """Files by their names, remembered; safe to use from several threads.

    A file below `root` is the application's, whatever else is there, unless it lies in a
    site-packages or dist-packages below it; so is a file that is neither in those nor in the
    standard library.
    """

    def __init__(self, root: Path) -> None:
        raise NotImplementedError

    def of(self, filename: str) -> Place:
        """The place of a code object's `co_filename`."""
        raise NotImplementedError
