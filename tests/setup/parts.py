"""`python -m tests.setup.parts` runs the tests of the parts in a copy without the microblog.

With `--alone NAME` the copy holds nothing but that part and its tests. Other arguments are passed
on to pytest, and are relative to the copy.
"""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from tests.setup.environment import make_environment, site_packages

ROOT = Path(__file__).parents[2]
PARTS = sorted(
    path.parent.name
    for path in (ROOT / "quartapp").glob("*/__init__.py")
    if path.parent.name != "microblog"
)


def copy_parts(folder: Path) -> Path:
    """Copy the parts and their tests into an empty folder, with an environment in `.venv`.

    Returns the environment's interpreter. It finds the libraries of the current environment, and as
    quartapp only the copy, also in processes that tests start.
    """
    shutil.copy(ROOT / "pyproject.toml", folder)
    _copy("quartapp", folder, "microblog")
    for name in (*PARTS, "shop"):
        _copy(f"tests/{name}", folder)
    for path in (ROOT / "tests").glob("*.py"):
        shutil.copy(path, folder / "tests")
    _copy("docs", folder)  # tests compare what is said there with what is
    return _make_environment(folder)


def copy_alone(folder: Path, part: str) -> Path:
    """Copy one part and its tests into an empty folder, as `copy_parts`."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    _copy(f"quartapp/{part}", folder)
    _copy(f"tests/{part}", folder)
    return _make_environment(folder)


def run(folder: Path, python: Path, arguments: Sequence[str]) -> int:
    """Run pytest in the copy; returns its exit code."""
    return subprocess.run([python, "-m", "pytest", *arguments], cwd=folder, check=False).returncode


def _copy(name: str, folder: Path, *without: str) -> None:
    if (ROOT / name).exists():
        ignore = shutil.ignore_patterns("__pycache__", *without)
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)


def _make_environment(folder: Path) -> Path:
    python = make_environment(folder)
    packages = site_packages(folder)
    (packages / "quartapp.pth").write_text(str(folder), "utf-8")
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    if ruff is not None:  # `python -m ruff` finds it beside the interpreter alone
        (python.parent / "ruff").symlink_to(ruff)
    _describe(packages / "quartapp-0.dist-info", folder)
    return python


def _describe(distribution: Path, folder: Path) -> None:
    """Write what installing the copy would write: the entry points whose modules it has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = []
    for group, members in project["entry-points"].items():
        lines.append(f"[{group}]")
        for name, target in members.items():
            if _has_module(folder, target.partition(":")[0]):
                lines.append(f"{name} = {target}")
    distribution.mkdir()
    installed = metadata.distribution("quartapp").read_text("METADATA")
    (distribution / "METADATA").write_text(installed or "", "utf-8")
    (distribution / "entry_points.txt").write_text("\n".join(lines), "utf-8")


def _has_module(folder: Path, name: str) -> bool:
    path = folder.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def main(arguments: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="parts-") as name:
        folder = Path(name)
        if arguments[:1] == ["--alone"]:
            return run(folder, copy_alone(folder, arguments[1]), arguments[2:])
        return run(folder, copy_parts(folder), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
