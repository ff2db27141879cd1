"""The table sees what is lost, doubled and leaked; and two of its rows."""

from dataclasses import replace

import pytest

from tests.system.faults.table import broken, causes, endings
from tests.system.faults.table.row import Fault, run

pytestmark = pytest.mark.slow


def short(faults: tuple[Fault, ...], name: str) -> Fault:
    (found,) = (fault for fault in faults if fault.name == name)
    return replace(found, seconds=0.5)


async def test_losses_copies_and_leaks_are_seen() -> None:
    row = await run(broken.SEVERAL, "sqlite")
    assert row.lost[0] == "1 posts"
    assert row.lost[1].endswith("errors")
    assert row.doubled == ["1 posts"]
    assert [leaked.split()[0] for leaked in row.leaked] == ["tasks", "files"]


async def test_a_stop_loses_nothing() -> None:
    row = await run(short(endings.FAULTS, "the server is stopped"), "sqlite")
    assert row.is_right, row


async def test_a_view_that_exits_loses_nothing() -> None:
    row = await run(short(endings.FAULTS, "a view exits"), "sqlite")
    assert row.is_right, row


@pytest.mark.postgresql
async def test_a_line_that_is_cut_loses_nothing() -> None:
    row = await run(short(causes.FAULTS, "a network connection failed: cut"), "postgresql")
    assert row.is_right, row
