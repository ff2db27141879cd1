"""A public name of the last release is still there, or was deprecated for two minor releases."""

import re
from collections.abc import Iterable

import pytest
from packaging.version import Version

import quartapp
from tests.docs.released import RECORD, exists
from tests.docs.test_public_names import TEXT

ROW = re.compile(r"^\| `([\w.]+)` \| ([\d.]+) \| ([\d.]+) \| .+ \|$", re.MULTILINE)
TABLE = TEXT.partition("| deprecated name |")[2].partition("\n\n")[0]


def removed_too_early(released: Iterable[str], table: str, version: str) -> list[str]:
    removable = {
        name for name, _, until in ROW.findall(table) if Version(until) <= Version(version)
    }
    return sorted(name for name in released if name not in removable and not exists(name))


def test_no_released_name_is_gone() -> None:
    released = RECORD.read_text("utf-8").splitlines()[1:]
    gone = removed_too_early(released, TABLE, quartapp.__version__)
    assert not gone, (
        "see 'How a name disappears' in docs/public-names.md; if this version is not out yet,"
        " 'python -m tests.docs.released' records its names again"
    )


@pytest.mark.parametrize(
    ("table", "version", "gone"),
    [
        ("", "0.5.0", ["quartapp.gone", "quartapp.mail.gone"]),
        ("| `quartapp.gone` | 0.3.0 | 0.5.0 | `new` |", "0.4.1", ["quartapp.gone"]),
        ("| `quartapp.gone` | 0.3.0 | 0.5.0 | `new` |", "0.5.0", []),
    ],
)
def test_a_name_that_is_gone_is_found(table: str, version: str, gone: list[str]) -> None:
    released = ["quartapp.create_app", *(gone or ["quartapp.gone"])]
    assert removed_too_early(released, table, version) == gone


def test_deprecated_names_stay_for_two_minor_releases_and_warn() -> None:
    for name, since, until in ROW.findall(TABLE):
        first, last = Version(since), Version(until)
        assert last.major > first.major or last.minor >= first.minor + 2, name
        if Version(quartapp.__version__) < last:
            module, _, attribute = name.rpartition(".")
            with pytest.warns(DeprecationWarning, match=attribute):
                getattr(__import__(module, fromlist=[attribute]), attribute)
