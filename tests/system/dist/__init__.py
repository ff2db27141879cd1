"""Building the distributions: the same files give the same bytes, wherever and whenever."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
_BUILD = "import sys, flit_core.buildapi as backend; getattr(backend, sys.argv[1])(sys.argv[2])"


def copy_checkout(folder: Path) -> Path:
    """Copy the files that git tracks, as they are now, into a new folder; returns it."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def build(source: Path, target: Path) -> tuple[Path, Path]:
    """Build the source distribution of a copy, and from it the wheel; returns their paths."""
    target.mkdir()
    sdist = _run("build_sdist", source, target)
    with tarfile.open(sdist) as archive:
        archive.extractall(target / "unpacked", filter="data")
    [unpacked] = (target / "unpacked").iterdir()
    return sdist, _run("build_wheel", unpacked, target)


def _run(hook: str, source: Path, target: Path) -> Path:
    before = set(target.iterdir())
    environment = os.environ | {"SOURCE_DATE_EPOCH": _date_of_commit()}
    command = [sys.executable, "-c", _BUILD, hook, str(target)]
    subprocess.run(command, cwd=source, check=True, env=environment)
    [made] = set(target.iterdir()) - before
    return made


def _date_of_commit() -> str:
    command = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
