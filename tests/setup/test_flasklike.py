"""quartapp/flasklike can be used alone: its README, its version, and what the wheel has of it."""

import re
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from flit_core import buildapi

from quartapp import flasklike
from tests.system.upstream import OF_FLASKLIKE

ROOT = Path(__file__).parents[2]
README = (ROOT / "quartapp" / "flasklike" / "README.md").read_text("utf-8")


def test_the_wheel_has_the_readme_and_the_mark_of_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    wheel = ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path)))
    assert {"quartapp/flasklike/README.md", "quartapp/flasklike/py.typed"} <= set(wheel.namelist())


def test_the_supported_versions_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    required = "\n".join(project["dependencies"])
    rows = re.findall(r"^\| (\w+) \| ([\d.]+) \| ([\d.]+) \|$", README, re.MULTILINE)
    for name, lowest, limit in rows[1:]:
        assert f"{name}>={lowest},<{limit}" in required.splitlines()
    assert {name for name, *_ in rows} == {"python", *OF_FLASKLIKE}
    pythons = [f"3.{minor}" for minor in range(11, 14)]
    assert rows[0] == ("python", pythons[0], "3.14")
    assert project["requires-python"] == f">={pythons[0]}"
    assert all(
        f"Programming Language :: Python :: {each}" in project["classifiers"] for each in pythons
    )


def test_the_readme_describes_the_changes_of_this_version() -> None:
    versions = re.findall(r"^### (\d+\.\d+\.\d+)$", README, re.MULTILINE)
    assert versions[0] == flasklike.__version__
