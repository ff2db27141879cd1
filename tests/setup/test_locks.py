"""The lock files: what a server needs, and the same plus the tools for development."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
SERVER_EXTRAS = (
    "microblog",
    "postgresql",
    "redis",
    "uvloop",
    "uvicorn",
    "granian",
    "sentry",
    "metrics",
)


def pins(lock: str) -> dict[str, Version]:
    """The packages that a lock file installs, by canonical name."""
    found = re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", (ROOT / lock).read_text("utf-8"), re.M)
    return {canonicalize_name(name): Version(version) for name, version in found}


def declared(*lists: list[str]) -> list[Requirement]:
    return [Requirement(line) for lines in lists for line in lines]


@pytest.fixture
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture
def for_a_server(project: dict[str, Any]) -> list[Requirement]:
    extras = project["project"]["optional-dependencies"]
    return declared(
        project["project"]["dependencies"],
        project["dependency-groups"]["build"],
        *(extras[name] for name in SERVER_EXTRAS),
    )


@pytest.fixture
def tools(project: dict[str, Any]) -> list[Requirement]:
    return declared(
        project["dependency-groups"]["dev"],
        project["project"]["optional-dependencies"]["testing"],
        project["project"]["optional-dependencies"]["port"],
    )


@pytest.mark.parametrize(
    ("name", "at_least"),
    [
        ("requirements.lock", 35),
        ("requirements-dev.lock", 51),
        ("benchmarks/flask_twin/requirements.txt", 10),
        ("tests/system/dist/requirements.txt", 20),
    ],
)
def test_the_lock_files_have_hashes_and_no_host_names(name: str, at_least: int) -> None:
    lock = (ROOT / name).read_text("utf-8")
    assert "://" not in lock
    assert "--index-url" not in lock
    assert len(pins(name)) >= at_least
    assert lock.count("--hash=sha256:") >= len(pins(name))


def test_the_locks_satisfy_what_is_declared(
    for_a_server: list[Requirement], tools: list[Requirement]
) -> None:
    locked = {"requirements.lock": for_a_server, "requirements-dev.lock": for_a_server + tools}
    for lock, requirements in locked.items():
        installed = pins(lock)
        for requirement in requirements:
            version = installed.get(canonicalize_name(requirement.name))
            assert version in requirement.specifier if version else False, (lock, requirement)


def test_a_server_gets_the_versions_that_were_tested() -> None:
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


def test_a_server_gets_no_tools(tools: list[Requirement]) -> None:
    names = {canonicalize_name(requirement.name) for requirement in tools}
    assert not names & pins("requirements.lock").keys()
    assert "pytest" in names
