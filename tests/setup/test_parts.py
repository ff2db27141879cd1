"""The parts need no microblog: in a copy without it they can be imported, and their tests pass."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.setup.parts import PARTS, ROOT, copy_alone, copy_parts

IMPORT_ALL = """
import importlib, pkgutil, quartapp
names = [module.name for module in pkgutil.walk_packages(quartapp.__path__, "quartapp.")]
for name in names:
    importlib.import_module(name)
print(*names)
"""

FIND_FIXTURES = """
import pytest
class Find:
    def pytest_collection_finish(self, session):
        self.number, self.missing = len(session.items), set()
        for item in session.items:
            info = item._fixtureinfo
            self.missing |= set(info.names_closure) - set(info.name2fixturedefs) - {"request"}
found = Find()
pytest.main(["--collect-only", "-qq", "tests"], plugins=[found])
print(found.number, *found.missing)
"""

QUICK = (
    *("reporting/alerts", "reporting/capture", "reporting/journal"),
    *("starter/test_new.py", "testing/test_strictness.py"),  # need what the copy has besides parts
)
"""Tests that together take seconds; `make parts` runs the tests of all parts."""

OF_FLASKLIKE = ("test_cli.py", "test_names.py", "test_routing.py", "test_ctx.py")
"""Tests that together take two seconds; `make parts` runs all of tests/flasklike alone."""

NAMED = re.compile(r"\b(?:quartapp|tests)\.microblog\b|\bfrom quartapp import create_app\b")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a copy; the copy is the third folder above it."""
    return copy_parts(tmp_path_factory.mktemp("parts"))


def run(python: Path, *arguments: str) -> str:
    done = subprocess.run(
        [python, *arguments],
        cwd=python.parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


@pytest.mark.slow
def test_every_module_of_every_part_imports(python: Path) -> None:
    imported = set(run(python, "-c", IMPORT_ALL).split())
    assert {f"quartapp.{part}" for part in PARTS} <= imported
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for part in PARTS
        for path in (ROOT / "quartapp" / part).rglob("*.py")
        if "template" not in path.parts  # applications and migrations that are written from them
    }
    assert modules - imported == set()
    assert not any(name.startswith("quartapp.microblog") for name in imported)


@pytest.mark.slow
def test_every_fixture_of_every_test_is_found(python: Path) -> None:
    number, *missing = run(python, "-c", FIND_FIXTURES).splitlines()[-1].split()
    assert missing == []
    assert int(number) > 4000


@pytest.mark.slow
def test_the_quick_tests_pass(python: Path) -> None:
    tests = (f"tests/{name}" for name in QUICK)
    said = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert re.search(r"^\d{3} passed", said, re.MULTILINE)


@pytest.mark.parametrize("folder", [*PARTS, "shop"])
def test_the_tests_of_a_part_name_nothing_of_the_microblog(folder: str) -> None:
    """Also in the programs that the tests start."""
    for path in (ROOT / "tests" / folder).rglob("*.py"):
        assert not NAMED.search(path.read_text("utf-8")), path


@pytest.mark.slow
def test_flasklike_and_its_tests_need_nothing_else(tmp_path: Path) -> None:
    tests = (f"tests/flasklike/{name}" for name in OF_FLASKLIKE)
    python = copy_alone(tmp_path, "flasklike")
    said = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert re.search(r"^\d{3} passed", said, re.MULTILINE)
    assert sorted(path.name for path in (tmp_path / "quartapp").iterdir()) == ["flasklike"]


def test_flasklike_and_its_tests_name_nothing_else() -> None:
    others = [name for name in PARTS if name != "flasklike"]
    imports = re.compile(
        rf"\b(?:quartapp|tests)\.(?:{'|'.join(others)})\b|from quartapp import [^f]"
    )
    for folder in ("quartapp", "tests"):
        for path in (ROOT / folder / "flasklike").rglob("*.py"):
            assert not imports.search(path.read_text("utf-8")), path
