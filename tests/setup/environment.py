"""Environments for tests that must not see this checkout, made in milliseconds."""

import sysconfig
import venv
from pathlib import Path


def make_environment(folder: Path) -> Path:
    """Make an environment in `folder / ".venv"`; returns its interpreter.

    It finds the libraries of the current environment, but no quartapp.
    """
    venv.create(folder / ".venv", symlinks=True)
    packages = site_packages(folder)
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith("quartapp"):
            (packages / path.name).symlink_to(path)
    return folder / ".venv" / "bin" / "python"


def site_packages(folder: Path) -> Path:
    """Where the environment in `folder / ".venv"` has its packages."""
    places = {"base": str(folder / ".venv"), "platbase": str(folder / ".venv")}
    return Path(sysconfig.get_path("purelib", "venv", places))
