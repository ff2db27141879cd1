"""Where a library of an extra is missing, one sentence says what to install."""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from quartapp import extras
from quartapp.database import DatabaseEngine
from quartapp.extras import needs
from quartapp.settings import ConfigurationError

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def as_installed(extra: str) -> list[str]:
    """The lines of the metadata of an installed distribution."""
    parted = (line.partition(";") for line in EXTRAS[extra])
    return [
        f'{library} ; extra == "{extra}"' + (f" and ({marker.strip()})" if marker else "")
        for library, _, marker in parted
    ]


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_command_installs_the_libraries_of_that_extra(
    monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    installed = ["quart>=0.22,<0.23", *(line for name in EXTRAS for line in as_installed(name))]
    monkeypatch.setattr(extras, "requires", lambda name: installed)
    quoted = re.findall(r'"([^"]+)"', needs(extra))
    assert quoted[0] == extra
    assert quoted[1:] == [line.partition(";")[0].strip() for line in EXTRAS[extra]]


def test_a_copy_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "requires", missing)
    assert needs("redis") == 'needs the extra "redis"'


def test_postgresql_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(
        ConfigurationError, match='PostgreSQL database needs the extra "postgresql"'
    ):
        DatabaseEngine("postgresql://somebody@127.0.0.1/database")
