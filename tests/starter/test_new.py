"""`quartapp new NAME` writes all or nothing, and refuses names with a sentence."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quartapp import __version__
from quartapp.commands import main
from quartapp.starter import command, writer


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(name: str) -> Result:
    return CliRunner().invoke(main, ["new", name])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a-b", "cannot be the name of a Python package"),
        ("1shop", "cannot be the name of a Python package"),
        ("_shop", "cannot be the name of a Python package"),
        ("käse", "cannot be the name of a Python package"),
        ("a/b", "cannot be the name of a Python package"),
        ("../shop", "cannot be the name of a Python package"),
        (".", "cannot be the name of a Python package"),
        ("", "cannot be the name of a Python package"),
        ("class", "is a keyword"),
        ("json", "is a module of Python"),
        ("sqlalchemy", "is an installed module"),
        ("Quart", "is an installed module"),
        ("quartapp", "that the application needs itself"),
        ("Tests", "that the application needs itself"),
        ("app", "that the application needs itself"),
        ("migrations", "that the application needs itself"),
        ("conftest", "that the application needs itself"),
        ("test_notes", "that the application needs itself"),
    ],
)
def test_a_bad_name_is_refused_with_a_sentence(folder: Path, name: str, why: str) -> None:
    result = new(name)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert why in result.output
    assert list(folder.iterdir()) == []


def test_every_file_has_the_name_of_the_application(folder: Path) -> None:
    result = new("shop")
    assert (result.exit_code, "cd shop" in result.output) == (0, True)
    files = [path for path in (folder / "shop").rglob("*") if path.is_file()]
    names = {path.relative_to(folder / "shop").as_posix() for path in files}
    assert {
        "shop/__init__.py",
        "shop/templates/errors/error.html",
        "tests/test_errors.py",
        "migrations/env.py",
        "migrations/versions/0001_notes.py",
        ".gitignore",
        ".env.example",
    } <= names
    assert not [name for name in names if writer._NAME in name]
    assert not [path for path in files if writer._NAME in path.read_text("utf-8")]


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_accepts_it_as_it_is(folder: Path, command: list[str]) -> None:
    new("shop")
    ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache"]
    said = subprocess.run([*ruff, "."], cwd=folder / "shop", capture_output=True, text=True)
    assert said.returncode == 0, said.stdout


def test_its_example_of_settings_is_to_be_copied_and_its_settings_are_not(folder: Path) -> None:
    new("shop")
    assert "Copy this file" in (folder / "shop/.env.example").read_text()
    assert "Copy this file" not in (folder / "shop/.env").read_text()


def test_the_version(folder: Path) -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output


def test_the_secret_key_is_new_and_for_its_owner_alone(folder: Path) -> None:
    keys = set()
    for name in ("first", "second"):
        assert new(name).exit_code == 0
        file = folder / name / ".env"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        keys |= {line for line in file.read_text().splitlines() if line.startswith("SECRET_KEY=")}
        assert ".env\n" in (folder / name / ".gitignore").read_text()
    assert len(keys) == 2
    assert min(map(len, keys)) > len("SECRET_KEY=") + 32


def test_the_folder_has_the_mode_of_others(folder: Path) -> None:
    new("shop")
    (folder / "other").mkdir()
    assert (folder / "shop").stat().st_mode == (folder / "other").stat().st_mode


def test_it_says_what_its_tests_need(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'the extra "testing"' not in new("shop").output
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "aiosmtpd" else name)
    assert 'The command pytest needs the extra "testing": pip install' in new("other").output


def test_an_empty_folder_is_used_and_another_is_not_touched(folder: Path) -> None:
    (folder / "shop").mkdir()
    assert new("shop").exit_code == 0
    (folder / "full").mkdir()
    (folder / "full" / "note").touch()
    (folder / "file").touch()
    (folder / "link").symlink_to("nowhere")
    for name in ("shop", "full", "file", "link"):
        result = new(name)
        assert result.exit_code == 1
        assert "exists already, and is not an empty folder." in result.output
    assert [path.name for path in (folder / "full").iterdir()] == ["note"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    written = 0
    write_text = Path.write_text

    def fail(path: Path, *arguments: object, **options: object) -> int:
        nonlocal written
        written += 1
        if written == 5:
            raise error
        return write_text(path, *arguments, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Path, "write_text", fail)
    result = new("shop")
    assert result.exit_code == 1
    assert isinstance(error, KeyboardInterrupt) or (
        result.output == "Error: 'shop' cannot be written: No space left on device.\n"
    )
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written_is_a_sentence(folder: Path) -> None:
    folder.chmod(0o500)
    result = new("shop")
    folder.chmod(0o700)
    assert result.output == "Error: 'shop' cannot be written: Permission denied.\n"
