"""The tables of settings have the names and defaults of the settings classes."""

import re
from typing import Any

import pytest
from pydantic import BaseModel

from quartapp.microblog.config import Settings
from tests.docs.blocks import PAGES, ROOT
from tests.test_settings import part_settings

TABLE = re.compile(r"^\| (?:variable|setting|key)s? \|.*\n\|[-|: ]+\|\n((?:\|.*\n)+)", re.MULTILINE)
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \|", re.MULTILINE)
ROWS = [
    pytest.param(name, default, id=f"{page.name}-{name}")
    for page in PAGES
    for table in TABLE.findall(page.read_text("utf-8"))
    for name, default in ROW.findall(table)
    if not name.startswith("QUARTAPP_TEST_")  # of the tests, in CONTRIBUTING.md
]


@pytest.mark.parametrize(("name", "default"), ROWS)
def test_a_row_has_the_name_and_the_default_of_a_setting(name: str, default: str) -> None:
    kinds: list[type[BaseModel]] = [*part_settings(), Settings]
    fields = [
        kind.model_fields[name.lower()] for kind in kinds if name.lower() in kind.model_fields
    ]
    assert fields, f"no settings class has {name}"
    if written := re.fullmatch(r"`([^`]*)`", default):
        assert written[1] in {as_written(field.default) for field in fields}


def as_written(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_every_setting_of_a_part_is_in_a_table() -> None:
    written = {str(row.values[0]).lower() for row in ROWS}
    assert {name for kind in part_settings() for name in kind.model_fields} <= written


def test_the_tables_are_found() -> None:
    assert (ROOT / "docs" / "operate.md") in PAGES
    assert len(ROWS) > 40
