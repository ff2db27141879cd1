"""Which changes the reloader sees."""

import os
import sys
from pathlib import Path

import pytest

from quartapp.debugger.server.reloader import Files, source_folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("shop.py", "parts/tea.py", "notes.txt", ".env"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    return tmp_path


def test_nothing_changed(folder: Path) -> None:
    assert Files([folder]).changed() is None


@pytest.mark.parametrize("name", ["shop.py", "parts/tea.py", "new.py", "parts/new.py", ".env"])
def test_a_write_is_seen_once(folder: Path, name: str) -> None:
    files = Files([folder], [folder / ".env"])
    (folder / name).write_text("12")

    assert files.changed() == str(folder / name)
    assert files.changed() is None


def test_a_text_of_the_same_length_is_seen(folder: Path) -> None:
    files = Files([folder])
    before = (folder / "shop.py").stat().st_mtime_ns
    (folder / "shop.py").write_text("2")
    os.utime(folder / "shop.py", ns=(before + 1, before + 1))

    assert files.changed()


def test_a_removal_is_seen(folder: Path) -> None:
    files = Files([folder])
    (folder / "shop.py").unlink()

    assert files.changed() == str(folder / "shop.py")


@pytest.mark.parametrize(
    "name", ["notes.txt", ".hidden/x.py", "__pycache__/x.py", "node_modules/x.py", "venv/lib/x.py"]
)
def test_what_is_not_source_is_not_looked_at(folder: Path, name: str) -> None:
    (folder / "venv").mkdir()
    (folder / "venv/pyvenv.cfg").touch()
    files = Files([folder])
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    (folder / name).write_text("12")

    assert files.changed() is None


def test_installed_libraries_are_not_watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(folder), str(folder / "parts"), *sys.path])

    folders = source_folders(folder)

    assert folder.resolve() in folders
    assert (folder / "parts").resolve() not in folders  # it is below one that is watched
    assert not any("site-packages" in str(path) for path in folders)
