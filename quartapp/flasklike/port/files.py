"""Reads the files of an application, and replaces those that changed."""

import ast
import contextlib
import difflib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import libcst as cst

SKIPPED = frozenset(
    ["__pycache__", "node_modules", "site-packages", "build", "dist", "venv", "env"]
)
LARGEST = 1_000_000
"""Bytes. A larger file is generated: it would take minutes, and nobody maintains it."""

OF_G = re.compile(r"\bg\.(\w+)")
_TEMPLATES = (".htm", ".html", ".j2", ".jinja", ".jinja2", ".md", ".svg", ".txt", ".xml")


class PortError(Exception):
    """What keeps the tool from its work; the text has one line for each reason."""


def find(path: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The Python files at *path*, and what was passed over, with the reason."""
    if not path.exists():
        raise PortError(f"{path}: there is no such file or folder")
    if path.is_file():
        return [path], []
    files, passed = [], []
    for folder, names, here in os.walk(path):
        within = Path(folder)
        passed += [
            (within / name, "a symbolic link is not followed")
            for name in sorted(names)
            if (within / name).is_symlink() and name not in SKIPPED and not name.startswith(".")
        ]
        names[:] = sorted(name for name in names if _is_own(within / name))
        for name in sorted(here):
            file = within / name
            if file.suffix != ".py":
                continue
            if file.is_symlink():
                passed.append((file, "a symbolic link is not followed"))
            elif file.stat().st_size > LARGEST:
                passed.append((file, f"larger than {LARGEST} bytes"))
            else:
                files.append(file)
    if not files:
        raise PortError(f"{path}: there are no Python files in it")
    return files, passed


def _is_own(folder: Path) -> bool:
    return not (
        folder.name in SKIPPED
        or folder.name.startswith(".")
        or folder.name.endswith(".egg-info")
        or folder.is_symlink()
        or (folder / "pyvenv.cfg").exists()
    )


def read_by_templates(root: Path) -> set[str]:
    """The names of attributes of g that templates below *root* read."""
    found: set[str] = set()
    for folder, names, here in os.walk(root):
        names[:] = [name for name in names if _is_own(Path(folder, name))]
        for path in (Path(folder, name) for name in here):
            if path.suffix in _TEMPLATES and path.is_file() and path.stat().st_size <= LARGEST:
                found.update(OF_G.findall(path.read_text("utf-8", "replace")))
    return found


def parse(path: Path) -> cst.Module:
    """The tree of a file. Raises PortError."""
    try:
        return cst.parse_module(path.read_bytes())
    except cst.ParserSyntaxError as error:
        raise PortError(f"{path}:{_place(path, error)}: a syntax error") from None
    except (UnicodeDecodeError, SyntaxError) as error:
        raise PortError(f"{path}: not in the encoding that it declares: {error}") from None
    except RecursionError:
        raise PortError(f"{path}: nested too deeply") from None
    except OSError as error:
        raise PortError(f"{path}: {error.strerror}") from None


def _place(path: Path, error: cst.ParserSyntaxError) -> str:
    """Line and column of a syntax error: where Python sees it, as libcst often says 1:1."""
    try:
        ast.parse(path.read_bytes())
    except SyntaxError as seen:
        return f"{seen.lineno}:{seen.offset}"
    return f"{error.raw_line}:{error.raw_column + 1}"


def replace(texts: dict[Path, bytes]) -> None:
    """Replace files. Each is written beside its place first, so that none is ever half written.

    Raises PortError, before anything is replaced, if a file is read-only or cannot be written.
    """
    modes = {path: path.stat().st_mode & 0o7777 if path.exists() else 0o644 for path in texts}
    protected = [path for path, mode in modes.items() if not mode & 0o200]
    if protected:
        raise PortError("\n".join(f"{path}: read-only: nothing was written" for path in protected))
    with contextlib.ExitStack() as undo:
        written = []
        for path, text in texts.items():
            try:
                descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
                undo.callback(Path(name).unlink, missing_ok=True)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(text)
                Path(name).chmod(modes[path])
            except OSError as error:
                raise PortError(f"{path}: {error.strerror}: nothing was written") from None
            written.append((name, path))
        for name, path in written:
            os.replace(name, path)


def differences(path: Path, before: bytes, after: bytes) -> Iterator[str]:
    """The lines of a unified diff."""
    old, new = (text.decode("utf-8", "replace").splitlines() for text in (before, after))
    return difflib.unified_diff(old, new, str(path), str(path), lineterm="")


def changed_lines(before: bytes, after: bytes) -> int:
    """How many lines of *after* are new or different."""
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    blocks: Iterable[tuple[str, int, int, int, int]] = matcher.get_opcodes()
    return sum(max(j - i, b - a) for kind, a, b, i, j in blocks if kind != "equal")
