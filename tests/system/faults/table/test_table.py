"""The table sees what is lost, doubled and leaked; and two of its rows."""

from dataclasses import replace

import pytest

from tests.system.faults.table import broken, causes, endings
from tests.system.faults.table import row as rows
from tests.system.faults.table.row import Fault, Row, run

pytestmark = pytest.mark.slow


def short(faults: tuple[Fault, ...], name: str) -> Fault:
    (found,) = (fault for fault in faults if fault.name == name)
    return replace(found, seconds=0.5)


def check_held(row: Row) -> None:
    """How soon pings are answered is for a quiet machine (`make faults`)."""
    assert row.sent, row
    assert row.recovered is not None, row
    assert [row.lost, row.doubled, row.leaked] == [[], [], []], row


async def test_losses_copies_and_leaks_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # It waits in vain for what is lost, and for what is never given back.
    monkeypatch.setattr(rows, "COUNTING", 2.0)
    monkeypatch.setattr(rows, "QUIET", 1.0)
    row = await run(broken.SEVERAL, "sqlite")
    assert row.lost[0] == "1 posts"
    assert row.lost[1].endswith("errors")
    assert row.doubled == ["1 posts"]
    assert [leaked.split()[0] for leaked in row.leaked] == ["tasks", "files"]


async def test_a_view_that_exits_loses_nothing() -> None:
    row = await run(short(endings.FAULTS, "a view exits"), "sqlite")
    check_held(row)


@pytest.mark.postgresql
async def test_a_line_that_is_cut_loses_nothing() -> None:
    row = await run(short(causes.FAULTS, "a network connection failed: cut"), "postgresql")
    check_held(row)
