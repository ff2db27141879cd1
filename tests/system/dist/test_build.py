"""The distributions are reproducible and complete."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.dist import ROOT, build, copy_checkout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("dist")
    return build(copy_checkout(folder / "checkout"), folder / "target")


@pytest.fixture
def another_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("another_umask")
def test_another_folder_and_another_time_give_the_same_bytes(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    source = copy_checkout(tmp_path / "another folder")
    for path in source.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    again = build(source, tmp_path / "target")
    assert [path.name for path in again] == [path.name for path in built]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_source_distribution_has_what_serves_and_migrates(built: tuple[Path, Path]) -> None:
    sdist, _ = built
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "alembic.ini",
        "alembic/env.py",
        "alembic/script.py.mako",
        "pyproject.toml",
        "quartapp/microblog/migrations/env.py",
        "requirements.lock",
        "run.py",
    } <= names
    assert not any(name.startswith(("tests/", "docs/", "benchmarks/", ".")) for name in names)
