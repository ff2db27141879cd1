"""What make does for a person who has only the checkout."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with an environment folder that does not exist, so that nothing is installed."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        ["make", "-C", str(ROOT), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=250,
    )


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())  # type: ignore[index]  # it is there
    listed = set(re.findall(r"^  make (\S+)", make("help").stdout, re.MULTILINE))
    assert phony == listed
    assert {"run", "test", "check", "install", "lock", "seed"} <= listed


def test_a_missing_python_is_one_sentence(tmp_path: Path) -> None:
    result = make("install", "PYTHON=no-such-python", f"VENV={tmp_path / 'venv'}")
    assert result.returncode != 0
    sentence = result.stderr.splitlines()[0]
    assert sentence.startswith("quartapp needs Python 3.11 or newer, and there is no 'no-such-py")


@pytest.mark.parametrize(("version", "expected"), [((3, 10, 13), "is 3.10.13")])
def test_a_python_that_is_too_old_is_one_sentence(
    tmp_path: Path, version: tuple[int, int, int], expected: str
) -> None:
    old = tmp_path / "python3"
    old.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.version_info = {version!r}\n"
        f"sys.version = '{'.'.join(map(str, version))} (old)'\n"
        "exec(sys.argv[2])\n"
    )
    old.chmod(0o755)
    result = make("install", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}")
    assert result.returncode != 0
    sentence = result.stderr.splitlines()[0]
    assert sentence.startswith("quartapp needs Python 3.11 or newer, and ")
    assert expected in sentence


@pytest.mark.parametrize("fault", ["", "moved", "without Python"])
def test_an_environment_that_was_moved_is_made_again(tmp_path: Path, fault: str) -> None:
    venv = tmp_path / "venv"
    scripts = venv / "bin"
    scripts.mkdir(parents=True)
    target = "/no/such/python" if fault == "without Python" else sys.executable
    (scripts / "python").symlink_to(target)
    place = tmp_path / "before" if fault == "moved" else scripts
    (scripts / "pip").write_text(f"#!{place}/python3\n")
    for stamp in (".libraries", ".tools", ".installed"):
        (venv / stamp).touch()
    result = make("--dry-run", "install", f"VENV={venv}")
    assert result.returncode == 0
    assert ("was moved, or its Python is gone" in result.stdout) == bool(fault)
    assert (f"-m venv --clear {venv}" in result.stdout) == bool(fault)


NOT_PIP = """#!/bin/sh
case "$2" in
    *ensurepip*) ;;
    *sys.version*) basename "$0" ;;
    *) echo "$@" >> LOG ;;
esac
"""


@pytest.mark.parametrize("name", ["python", "another"])
def test_a_changed_lock_leaves_the_environment_of_a_running_server(
    tmp_path: Path, name: str
) -> None:
    """The environment's Python says that its version is "python", which `name` may be too."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    for path in (venv / "bin" / "python", tmp_path / name):
        path.write_text(NOT_PIP.replace("LOG", str(tmp_path / "log")))
        path.chmod(0o755)
    result = make(str(venv / ".libraries"), f"PYTHON={tmp_path / name}", f"VENV={venv}")
    assert result.returncode == 0, result.stderr
    *made, installed = (tmp_path / "log").read_text("utf-8").splitlines()
    assert installed.endswith("--require-hashes -r requirements.lock")
    assert made == ([] if name == "python" else [f"-m venv --clear {venv}"])


def test_a_python_without_venv_is_one_sentence(tmp_path: Path) -> None:
    bare = tmp_path / "python3"
    bare.write_text(
        f"#!{sys.executable}\nimport sys\nsys.modules['ensurepip'] = None\nexec(sys.argv[2])\n"
    )
    bare.chmod(0o755)
    result = make("install", f"PYTHON={bare}", f"VENV={tmp_path / 'venv'}")
    assert result.returncode != 0
    assert result.stderr.startswith("This Python cannot make virtual environments")


def test_the_readme_opens_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"```sh\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    assert [line.split("#")[0].strip() for line in block[1].splitlines()] == [
        "make run",
        "make test",
    ]
    assert len(readme.splitlines()) < 150
