"""Where a frame's code belongs: to the application, or to a library."""

import os
import sys
import sysconfig
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import NamedTuple

from quartapp.redact.traceback import Frame

_REMEMBERED = 4096
_PARTS = os.path.abspath(Path(__file__).parents[1])


class Place(NamedTuple):
    """A source file. `name` is relative to the application or the library, so that it is the same
    on every machine; `identity` also stays the same if the application's package is moved."""

    name: str
    in_app: bool
    identity: str


class Places:
    """Files by their names, cached; safe to use from several threads.

    Code below `root`, the folder of the application's package, is the application's, unless it is
    in a site-packages or dist-packages there. So is all other code that is neither in those, nor in
    the standard library, nor in quartapp, whose parts are libraries.

    `name` replaces `root` in the identity of a file; the default is the folder's name.
    `above` is the folder from which the application's package is imported.
    """

    def __init__(self, root: Path, *, name: str = "") -> None:
        self._root = os.path.abspath(root)
        self._name = name or os.path.basename(self._root)
        self.above = _folder_above(Path(self._root))
        self._package = os.path.relpath(self._root, self.above).replace(os.sep, ".")
        paths = sysconfig.get_paths()
        self._stdlib = tuple({paths["stdlib"], paths["platstdlib"], os.path.dirname(os.__file__)})
        self._included: tuple[str, ...] = ()
        self._places: dict[str, Place] = {}
        self._calls: dict[tuple[int, int], tuple[CodeType, Frame, tuple[int, ...]]] = {}

    def include(self, folder: str) -> None:
        """Count the code below a folder as the application's, wherever it is."""
        self._included = (*self._included, os.path.abspath(folder))

    def inner(self, module: str) -> str:
        """A module's name without the package that holds the whole application."""
        if module.startswith(f"{self._package}."):
            return module.removeprefix(f"{self._package}.")
        return module.partition(".")[2] or module

    def of(self, filename: str) -> Place:
        """The place of a code object's `co_filename`."""
        place = self._places.get(filename)
        if place is None:
            if len(self._places) >= _REMEMBERED:  # generated code, each under another name
                self._places.clear()
            place = self._places[filename] = self._find(filename)
        return place

    def call(self, call: TracebackType) -> Frame:
        """A call's file, function and line only; for code without a file also its module."""
        frame = call.tb_frame
        code = frame.f_code
        key = (id(code), call.tb_lasti)
        known = self._calls.get(key)  # Python searches a table for the line each time
        if known is not None:
            return known[1]
        name, in_app, _ = self.of(code.co_filename)
        line = call.tb_lineno or 0  # None where generated code has no line numbers
        if name[:1] == "<":  # next time it may run as another module
            return Frame(name, module_of(frame), code.co_qualname, line)
        found = Frame(name, "", code.co_qualname, line, in_app)
        if len(self._calls) >= _REMEMBERED:
            self._calls.clear()
        columns = _columns(call, line) if in_app else ()
        self._calls[key] = code, found, columns  # with the code, so that no other gets its id
        return found

    def columns(self, call: TracebackType) -> tuple[int, ...]:
        """Where the expression that failed begins and ends in the line of a call that `call` was
        asked for: in bytes of UTF-8, with -1 if it ends in a later line; () if that is unknown."""
        known = self._calls.get((id(call.tb_frame.f_code), call.tb_lasti))
        return known[2] if known else ()

    def _find(self, filename: str) -> Place:
        if filename.startswith("<") or not filename:
            return _place(filename, in_app=False)
        path = os.path.abspath(filename)
        for folder in self._included:
            if _below(path, folder):
                return _place(os.path.relpath(path, os.path.dirname(folder)), in_app=True)
        if _below(path, self._root):
            inner = os.path.relpath(path, self._root)
            if packages := _packages(inner):  # of a virtual environment in the folder
                return _place(packages, in_app=False)
            return Place(
                _portable(os.path.relpath(path, self.above)),
                True,
                f"{self._name}/{_portable(inner)}",
            )
        if packages := _packages(path):
            return _place(packages, in_app=False)
        for folder in self._stdlib:
            if _below(path, folder):
                return _place(os.path.relpath(path, folder), in_app=False)
        if _below(path, _PARTS):
            return _place(os.path.relpath(path, os.path.dirname(_PARTS)), in_app=False)
        return _place(_importable(path), in_app=True)


def module_of(frame: FrameType) -> str:
    """The name of the module that a call runs in; "" if that is no str."""
    module = dict.get(frame.f_globals, "__name__")
    return module if type(module) is str else ""


def _columns(call: TracebackType, line: int) -> tuple[int, ...]:
    if dict.__contains__(call.tb_frame.f_globals, "__jinja_exception__"):
        return ()  # the columns are those of the code that Jinja compiled
    positions = islice(call.tb_frame.f_code.co_positions(), max(call.tb_lasti, 0) // 2, None)
    first, last, start, end = next(positions, (None, None, None, None))
    if first != line or start is None or end is None:
        return ()
    return start, end if last == first else -1


def _folder_above(package: Path) -> Path:
    """The folder that holds the outermost package around this one."""
    folder = package.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _place(name: str, *, in_app: bool) -> Place:
    name = _portable(name)
    return Place(name, in_app, name)


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder + os.sep)


def _packages(path: str) -> str:
    """What follows the last site-packages or dist-packages in a path; "" if there is none."""
    for name in ("site-packages", "dist-packages"):
        _, found, inner = f"{os.sep}{path}".rpartition(f"{os.sep}{name}{os.sep}")
        if found:
            return inner
    return ""


def _importable(path: str) -> str:
    """The path relative to the nearest entry of the import path; otherwise only the file's name."""
    folders = [os.path.abspath(entry) for entry in sys.path]
    above = [folder for folder in folders if _below(path, folder)]
    return os.path.relpath(path, max(above, key=len)) if above else os.path.basename(path)


def _portable(path: str) -> str:
    return path.replace(os.sep, "/")
