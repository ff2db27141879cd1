"""The environment in which the examples run: it has the wheel, and not this checkout."""

import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.examples.conftest import ROOT, Example, Wheel

SHOW = """
import sys
from importlib.metadata import distribution, entry_points
import quartapp
print(quartapp.__file__, *sys.path, sep="\\n")
print(len([d for d in entry_points(group="quart.commands") if d.name == "dev"]))
"""


@pytest.mark.slow
def test_its_processes_do_not_see_the_checkout(wheel: Wheel) -> None:
    file, *path, commands = Example(wheel.packages, wheel).run("-c", SHOW).stdout.splitlines()
    assert file == str(wheel.packages / "quartapp" / "__init__.py")
    assert str(ROOT) not in path
    assert commands == "1"


@pytest.mark.slow
def test_the_wheel_has_every_entry_point_that_is_declared(wheel: Wheel) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = dict(project["entry-points"], console_scripts=project.get("scripts", {}))
    assert {
        (point.group, point.name, point.value) for point in wheel.distribution.entry_points
    } == {
        (group, name, value) for group, points in declared.items() for name, value in points.items()
    }


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_package(wheel: Wheel) -> None:
    """Templates, static files, migrations, py.typed; and nothing else but its metadata."""
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in (ROOT / "quartapp").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert wheel.path is not None
    with zipfile.ZipFile(wheel.path) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    assert {name: data for name, data in packed.items() if ".dist-info/" not in name} == files
    licences = {name.partition("/licenses/")[2] for name in packed if "/licenses/" in name}
    assert licences == {"LICENSE", "quartapp/microblog/static/pico.LICENSE.md"}


MICROBLOG = """
import asyncio
from pathlib import Path

from quartapp import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.migrate import migrate

key = "".join(map(chr, range(40, 90)))
settings = Settings(secret_key=key, database_url="sqlite:///blog.db", instance_path=Path("i"))
migrate(settings.database_url)

async def ask():
    async with create_app(settings).test_app() as served:
        client = served.test_client()
        for path in ("/login", "/static/pico.classless.min.css", "/ready"):
            print((await client.get(path)).status_code)

asyncio.run(ask())
"""


@pytest.mark.slow
def test_the_wheel_migrates_and_has_the_pages_of_the_microblog(
    wheel: Wheel, tmp_path: Path
) -> None:
    assert Example(tmp_path, wheel).run("-c", MICROBLOG).stdout.split() == ["200"] * 3
