"""docs/install.md, and what documents and messages say about installing."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import quartapp

ROOT = Path(__file__).parents[2]
INSTALL = (ROOT / "docs" / "install.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BARE = re.compile(
    r"""\b(?:pip|pipx|uv|poetry|pdm)\b[^`\n]*\s["']?quartapp(?:\[[^\]]*\])?["']?"""
    r"""(?! @)(?:[\s`"']|$)"""
)
"""A command that would install whatever has this name on a package index."""


def test_every_extra_is_described() -> None:
    table = INSTALL.partition("| extra |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == PROJECT["optional-dependencies"].keys()


def test_every_command_is_described() -> None:
    table = INSTALL.partition("| command | |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(
        PROJECT["entry-points"]["quart.commands"]
    )
    assert all(f"`{script} " in INSTALL for script in PROJECT["scripts"])


def test_it_names_files_of_this_version() -> None:
    assert set(re.findall(r"quartapp-([\d.]+)-py3", INSTALL)) == {quartapp.__version__}


@pytest.mark.slow
def test_nothing_installs_by_the_bare_name() -> None:
    assert BARE.search("run `pip install quartapp` first")
    assert BARE.search("""pip install --upgrade 'quartapp[redis]'""")
    assert not BARE.search('pip install "quartapp @ git+https://git.example.com/web/quartapp"')
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    texts = (".md", ".py", ".html", ".txt", ".toml")
    for name in names.stdout.decode().split("\0"):
        path = ROOT / name
        if path.suffix in texts and path.is_file() and path != Path(__file__):
            assert not BARE.search(path.read_text("utf-8")), name
