"""The applications of docs/examples run as a stranger runs them: from the wheel.

`example("NAME")` copies docs/examples/NAME into a temporary folder. Its processes run there, with
an interpreter that has the wheel and the libraries installed, and that cannot see this checkout.
"""

import fcntl
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from quartapp.testing import LiveServer
from tests.setup.environment import make_environment, site_packages

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
BUILD = "import sys, flit_core.buildapi as backend; backend.build_wheel(sys.argv[1])"
SCRIPT = "#!{python}\nimport sys\nfrom {module} import {name}\nsys.exit({name}())\n"


@dataclass(frozen=True)
class Wheel:
    """The wheel of this checkout, and an environment in which it is installed."""

    path: Path | None
    """None where it was installed by others."""
    python: Path
    """The interpreter of the environment; console scripts are in the same folder."""
    packages: Path

    @property
    def distribution(self) -> Distribution:
        """Its metadata, for example `.entry_points`."""
        return Distribution.at(next(self.packages.glob("quartapp-*.dist-info")))


@dataclass(frozen=True)
class Example:
    """A copy of an application of docs/examples in `folder`."""

    folder: Path
    wheel: Wheel

    def run(
        self, *arguments: str, code: int = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `python ARGUMENTS` in the folder, and expect that exit code.

        For example `run("-m", "quart", "--app", "app", "errors", "list")`, or `run("-c", PROGRAM)`.
        """
        command = [str(self.wheel.python), *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=plain_environment(self.wheel) | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def serve(self, application: str = "app:app", **environment: str) -> LiveServer:
        """Hypercorn with the application, for a `with` block; `url` is its address."""
        command = ["-m", "hypercorn", application, "--bind", "127.0.0.1:0"]
        return LiveServer(
            plain_environment(self.wheel) | environment,
            command,
            cwd=self.folder,
            python=self.wheel.python,
        )


def plain_environment(wheel: Wheel) -> dict[str, str]:
    """Without the PYTHONPATH and the settings of who runs the tests."""
    return {"PATH": f"{wheel.python.parent}:/usr/bin:/bin", "PYTHONPATH": "", "LANG": "C.UTF-8"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """Built and installed once, also where several processes run the tests.

    QUARTAPP_TEST_WHEEL names the interpreter of an environment in which it is installed already.
    """
    if python := os.environ.get("QUARTAPP_TEST_WHEEL"):
        return installed_in(Path(python))
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "wheel"
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        lock = stack.enter_context((folder / "lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            install(folder)
            (folder / "installed").touch()
    [path] = folder.glob("*.whl")
    return Wheel(path, folder / ".venv" / "bin" / "python", site_packages(folder))


def install(folder: Path) -> None:
    """Build the wheel of this checkout, and install it as pip does, without its dependencies."""
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=ROOT, check=True)
    python = make_environment(folder)
    packages = site_packages(folder)
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(packages)
    wheel = Wheel(path, python, packages)
    for point in wheel.distribution.entry_points.select(group="console_scripts"):
        script = python.parent / point.name
        script.write_text(SCRIPT.format(python=python, module=point.module, name=point.attr))
        script.chmod(0o755)
    assert place_of(python).is_relative_to(packages)


def place_of(python: Path) -> Path:
    """The file from which this interpreter imports quartapp."""
    program = "import quartapp; print(quartapp.__file__)"
    done = subprocess.run(
        [python, "-c", program], cwd="/", env={"PYTHONPATH": ""}, capture_output=True, check=True
    )
    return Path(done.stdout.decode().strip())


def installed_in(python: Path) -> Wheel:
    packages = place_of(python).parents[1]
    assert not packages.is_relative_to(ROOT)
    return Wheel(None, python, packages)


@pytest.fixture
def example(wheel: Wheel, tmp_path: Path) -> Callable[[str], Example]:
    """Copies the application of that name; its processes see the wheel, and not the checkout."""

    def copy(name: str) -> Example:
        folder = tmp_path / name
        copytree(EXAMPLES / name, folder, ignore=ignore_patterns("__pycache__", "instance"))
        return Example(folder, wheel)

    return copy
