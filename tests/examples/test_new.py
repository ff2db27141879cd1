"""`quartapp new shop`, from the wheel: its tests pass, it has tables, and it is served."""

import re
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.examples.conftest import Example, Wheel, plain_environment

UPGRADE = """
from quart.cli import cli

for command in ("upgrade", "check"):
    cli(["db", command], standalone_mode=False)
"""

NEW_CONSTRAINT = """
from quart.cli import cli
from sqlalchemy import UniqueConstraint

from shop.models import Note

Note.__table__.append_constraint(UniqueConstraint("text"))
steps = ["upgrade"], ["check"], ["downgrade"], ["upgrade"]
for command in (["migrate", "-m", "Unique notes"], *steps):
    cli(["db", *command], standalone_mode=False)
"""


@pytest.fixture
def shop(wheel: Wheel, tmp_path: Path) -> Example:
    subprocess.run(
        [wheel.python.with_name("quartapp"), "new", "shop"],
        cwd=tmp_path,
        env=plain_environment(wheel),
        check=True,
        capture_output=True,
    )
    return Example(tmp_path / "shop", wheel)


@pytest.mark.slow
def test_the_tests_of_a_new_application_pass(shop: Example) -> None:
    said = shop.run("-m", "pytest", "-q", "-p", "no:cacheprovider").stdout
    assert re.search(r"^6 passed in ", said, re.MULTILINE), said


@pytest.mark.slow
def test_a_new_application_makes_its_tables_and_is_served(shop: Example) -> None:
    shop.run("-c", UPGRADE)
    shop.run("-c", NEW_CONSTRAINT)
    with shop.serve() as server:
        page = urlopen(server.url).read().decode()
    assert "There is none yet." in page
    assert (shop.folder / "instance" / "shop.db").exists()
