"""docs/operate.md and the settings say the same."""

import re
from pathlib import Path

from quartapp.microblog.config import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operate.md").read_text("utf-8")
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
