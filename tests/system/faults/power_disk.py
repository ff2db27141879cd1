"""What a disk may hold after the power failed: a model, fed with the system calls of a program.

The rules are those of POSIX, which promises little (fsync(2), rename(2); Linux's file systems keep
more order than that, and differ in it):

1. What is written to a file is on the disk after fsync or fdatasync of that file. Until then each
   page of 4096 bytes is on the disk as it was at the last sync or as after any write since, each
   page on its own. So a write across pages can be torn, and later writes can be there without
   earlier ones. A page itself is not torn.
2. The size of a file is like one more page: without the new size, new data is cut off; with the new
   size, what is missing before it is zeros.
3. A name (made, renamed or deleted) is on the disk after fsync of its folder, and not after fsync
   of the file. Until then each change of the folder may be there or not, each on its own; a rename
   is one change, and never shows both names or none.
4. fsync that returns is believed.

The `-shm` files of SQLite are left out: it makes them again when it opens a database.
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import PurePosixPath
from typing import NamedTuple

PAGE = 4096

_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<[^>]*>)?")
_ARGUMENT = re.compile(
    r'"((?:\\x[0-9a-f]{2})*)"|(-?\w+)<((?:\\x[0-9a-f]{2})*)>(?:\(deleted\))?|([^,\s][^,]*)'
)
_MARK = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
MARK = "/MARK-"
SQLITE = "sqlite"
"""The label of the syncs that SQLite makes itself."""


class Call(NamedTuple):
    """A system call that changes the disk, or a mark (`kind` "mark", `path` its text).

    `label` names the calls of fsync by the place in the program that they are made from.
    """

    kind: str
    path: str
    label: str = ""
    data: bytes = b""
    at: int = 0
    other: str = ""


def calls_of(lines: Iterable[str], root: str) -> Iterator[Call]:
    """The calls below the folder `root`, with paths relative to it, from the lines of
    `strace -f -y -xx`. A mark `next-X` labels the following sync of its thread X;
    the others are SQLite's."""
    unfinished: dict[str, str] = {}
    labels: dict[str, str] = {}
    for line in lines:
        thread = line.split(None, 1)[0]
        if "<unfinished ...>" in line:
            unfinished[thread] = line.split("<unfinished", 1)[0]
            continue
        if "resumed>" in line:
            line = unfinished.pop(thread) + line.split("resumed>", 1)[1].lstrip()
        found = _LINE.match(line)
        if not found:
            continue
        name, arguments = found[2], [_argument(one) for one in _ARGUMENT.finditer(found[3])]
        if name in {"newfstatat", "stat"}:
            text = next((one for one in arguments if one.startswith(MARK)), "")
            if text.startswith(MARK + "next-"):
                labels[thread] = text.removeprefix(MARK + "next-")
            elif text:
                yield Call("mark", text.removeprefix(MARK))
        elif int(found[4]) >= 0:
            label = labels.pop(thread, SQLITE) if name in {"fsync", "fdatasync"} else ""
            call = _call(name, arguments, found[3], root, label)
            if call is not None and not call.path.endswith("-shm"):
                yield call


def _argument(found: "re.Match[str]") -> str:
    text, _, of_handle, other = found.groups()
    if other is not None:
        return str(other).strip()
    return _plain(text if text is not None else of_handle)


def _plain(escaped: str) -> str:
    return bytes.fromhex(escaped.replace("\\x", "")).decode("latin-1")


def _call(name: str, arguments: list[str], raw: str, root: str, label: str) -> Call | None:
    def below(path: str) -> str | None:
        path = path.removesuffix(" (deleted)")
        inside = path == root or path.startswith(root + "/")
        return path[len(root) :].strip("/") if inside else None

    paths = [path for one in arguments if (path := below(one)) is not None]
    if not paths:
        return None
    path = paths[0]
    match name:
        case "openat" | "open" | "creat":
            if "O_TRUNC" in raw:
                raise NotImplementedError(f"a file that is cut when it is opened: {path}")
            return Call("make", path) if "O_CREAT" in raw else None
        case "pwrite64":
            return Call("write", path, data=arguments[1].encode("latin-1"), at=int(arguments[3]))
        case "fsync" | "fdatasync":
            return Call("sync", path, label)
        case "fallocate":
            return Call("grow", path, at=int(arguments[2]) + int(arguments[3]))
        case "ftruncate":
            return Call("cut", path, at=int(arguments[1]))
        case "unlink" | "unlinkat":
            return Call("delete", path)
        case "rename" | "renameat" | "renameat2":
            return Call("rename", path, other=paths[1])
        case "mkdir" | "mkdirat":
            return Call("folder", path)
    raise NotImplementedError(f"{name} of {path}")


class Unit(NamedTuple):
    """One thing that is on the disk in one of several versions: a page of a file (`part`), its
    size (`part` is -1), or a change of a `folder` (`file` is -1, `part` its ordinal)."""

    file: int
    part: int
    folder: str = ""


@dataclass
class File:
    """The versions of each page and of the size, the last synced one first."""

    pages: dict[int, list[bytes]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=lambda: [0])

    def write(self, at: int, data: bytes) -> None:
        end = at + len(data)
        for index in range(at // PAGE, (end - 1) // PAGE + 1):
            versions = self.pages.setdefault(index, [bytes(PAGE)])
            old, begin = versions[-1], index * PAGE
            low, high = max(at, begin), min(end, begin + PAGE)
            versions.append(old[: low - begin] + data[low - at : high - at] + old[high - begin :])
        self.grow(end)

    def grow(self, size: int) -> None:
        if size > self.sizes[-1]:
            self.sizes.append(size)

    def cut(self, size: int) -> None:
        if size == self.sizes[-1]:
            return
        if size > self.sizes[-1]:
            return self.grow(size)
        self.sizes.append(size)
        for index, versions in self.pages.items():
            kept = max(0, min(PAGE, size - index * PAGE))
            if kept < PAGE:
                versions.append(versions[-1][:kept].ljust(PAGE, b"\0"))

    def sync(self) -> None:
        self.sizes = self.sizes[-1:]
        self.pages = {index: versions[-1:] for index, versions in self.pages.items()}


@dataclass
class Recipe:
    """Which version of each unit the disk holds: the oldest or the newest, but for `others`; or,
    with a `seed`, any."""

    newest: bool
    others: dict[Unit, int] = field(default_factory=dict)
    seed: int | None = None

    def choose(self, unit: Unit, versions: int) -> int:
        if unit in self.others:
            return min(self.others[unit], versions - 1)
        if self.seed is not None:
            return random.Random(f"{self.seed} {unit}").randrange(versions)
        return versions - 1 if self.newest else 0


class Disk:
    """A folder with its files: what is there now, and what may be on the disk."""

    def __init__(self, synced: dict[str, bytes]) -> None:
        self._files: list[File] = []
        self._now: dict[str, int] = {}
        self._known: dict[str, int] = {}  # also names that are gone: their file may be open still
        for path, data in synced.items():
            file = self._add(path)
            file.write(0, data)
            file.sync()
        self._synced: dict[str, int] = dict(self._now)
        self._folders = {""}
        self._synced_folders = {""}
        self._changes: dict[str, list[Call]] = {"": []}

    def _add(self, path: str) -> File:
        self._files.append(File())
        self._now[path] = self._known[path] = len(self._files) - 1
        return self._files[-1]

    def apply(self, call: Call) -> Unit | None:
        """Do what a call does; the unit with a new version, if there is one."""
        path = call.path
        if call.kind == "sync":
            self._sync(path)
        elif call.kind in {"write", "grow", "cut"}:
            number = self._now.get(path, self._known.get(path, -1))
            file = self._files[number]
            if call.kind == "write":
                file.write(call.at, call.data)
                return Unit(number, call.at // PAGE)
            file.grow(call.at) if call.kind == "grow" else file.cut(call.at)
            return Unit(number, -1)
        elif call.kind == "make":
            if path not in self._now:
                self._add(path)
                return self._change(call._replace(at=self._now[path]))
        elif call.kind == "folder":
            self._folders.add(path)
            self._changes[path] = []
            return self._change(call)
        elif call.kind == "delete":
            self._now.pop(path)
            return self._change(call)
        elif call.kind == "rename":
            number = self._now.pop(path)
            self._now[call.other] = self._known[call.other] = self._known[path] = number
            return self._change(call._replace(at=number))
        return None

    def _change(self, call: Call) -> Unit:
        folder = _folder(call.path)
        self._changes[folder].append(call)
        return Unit(-1, len(self._changes[folder]) - 1, folder)

    def _sync(self, path: str) -> None:
        if path not in self._folders:
            self._files[self._now.get(path, self._known.get(path, -1))].sync()
            return
        for change in self._changes[path]:
            _enact(change, self._synced, self._synced_folders)
        self._changes[path] = []

    def units(self) -> dict[Unit, int]:
        """All that is not synced, and how many versions of it there are."""
        found = {
            Unit(-1, index, folder): 2
            for folder, changes in self._changes.items()
            for index in range(len(changes))
        }
        for number, file in enumerate(self._files):
            if len(file.sizes) > 1:
                found[Unit(number, -1)] = len(file.sizes)
            for index, versions in file.pages.items():
                if len(versions) > 1:
                    found[Unit(number, index)] = len(versions)
        return found

    def content(self, recipe: Recipe) -> tuple[dict[str, bytes], set[str]]:
        """The files and folders of one state."""
        names, folders = dict(self._synced), set(self._synced_folders)
        for folder, changes in self._changes.items():
            for index, change in enumerate(changes):
                if recipe.choose(Unit(-1, index, folder), 2):
                    _enact(change, names, folders)
        reachable = {one for one in folders if _parents(one) <= folders}
        return {
            path: self._read(number, recipe)
            for path, number in names.items()
            if _folder(path) in reachable
        }, reachable

    def _read(self, number: int, recipe: Recipe) -> bytes:
        file = self._files[number]
        size = file.sizes[recipe.choose(Unit(number, -1), len(file.sizes))]
        content = bytearray(size)
        for index, versions in file.pages.items():
            begin = index * PAGE
            if begin < size:
                chosen = versions[recipe.choose(Unit(number, index), len(versions))]
                content[begin : begin + PAGE] = chosen[: size - begin]
        return bytes(content)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _parents(path: str) -> set[str]:
    return {str(one).removeprefix(".") for one in PurePosixPath(path).parents} if path else set()


def _enact(change: Call, names: dict[str, int], folders: set[str]) -> None:
    if change.kind == "make":
        names[change.path] = change.at
    elif change.kind == "folder":
        folders.add(change.path)
    elif change.kind == "delete":
        names.pop(change.path, None)
    elif change.kind == "rename":
        names.pop(change.path, None)
        names[change.other] = change.at


def recipes(
    units: dict[Unit, int], newest: Unit | None, generator: random.Random, beyond: int
) -> Iterator[Recipe]:
    """The states to look at after a call: everything and nothing of what is not synced; what
    differs from one of these in one or two of the names, the sizes of files and the page that this
    call has written (other pages had their turn after earlier calls); and, `beyond` these, samples
    of pairs with other pages and of any mixture.
    """
    yield Recipe(newest=True)
    yield Recipe(newest=False)
    names = [unit for unit in units if unit.part < 0 or unit.file < 0]
    changed = [newest] if newest is not None and newest in units else []
    first = [*names, *(unit for unit in changed if unit not in names)]
    others = [unit for unit in units if unit not in first]
    pairs = [*combinations(first, 2)]
    mixed = [(one, other) for one in first for other in others]
    for base in (True, False):
        for unit in first:
            for version in range(units[unit]):
                yield Recipe(base, {unit: version})
        for pair in [*pairs, *generator.sample(mixed, min(len(mixed), beyond))]:
            yield Recipe(base, {unit: _opposite(base, units[unit], generator) for unit in pair})
        for _ in range(beyond if len(others) > 1 else 0):
            two = generator.sample(others, 2)
            yield Recipe(base, {unit: _opposite(base, units[unit], generator) for unit in two})
    for _ in range(beyond if len(units) > 2 else 0):
        yield Recipe(newest=True, seed=generator.randrange(2**32))


def _opposite(newest: bool, versions: int, generator: random.Random) -> int:
    """Another version than that of the rest."""
    return generator.randrange(versions - 1) if newest else generator.randrange(1, versions)
