"""docs/operate.md, .env.example and the settings say the same."""

import re
from pathlib import Path

import pytest

from quartapp.microblog.config import Settings
from quartapp.settings import PartSettings
from tests.test_settings import part_settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operate.md").read_text("utf-8")
EXAMPLE = dict(
    re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
)
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", TEXT, re.MULTILINE))


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    assert sorted(ROWS) == sorted(name.upper() for name in Settings.model_fields)


def test_the_defaults_are_the_settings_defaults() -> None:
    compared = 0
    for name, field in Settings.model_fields.items():
        written = re.fullmatch(r"`([^`]+)`", ROWS[name.upper()])
        if written:
            default = str(field.default)
            assert written[1] == (default.lower() if type(field.default) is bool else default)
            compared += 1
    assert compared > len(ROWS) / 3, "most of the others have no default, or one in words"


@pytest.mark.parametrize(
    "kind", sorted((kind for kind in part_settings() if issubclass(Settings, kind)), key=str)
)
def test_every_setting_of_a_part_is_named_with_its_default(kind: type[PartSettings]) -> None:
    for name, field in kind.model_fields.items():
        key, default = name.upper(), field.default
        if default in (None, "", ()):
            assert not re.fullmatch(r"`[^`]*`", ROWS[key]), f"{key} has no default but a rule"
            assert EXAMPLE[key] == ""
        else:
            text = str(default).lower() if default is True or default is False else str(default)
            assert (ROWS[key], EXAMPLE[key]) == (f"`{text}`", text)
