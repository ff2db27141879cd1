"""Short versions of the proofs that `make faults` runs at length."""

import logging
import os
from pathlib import Path

import pytest

from tests.faults import database_down, full_disk, kill_drainers, kill_workers, slow_mail, storm


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What the proofs break on purpose is not worth a line; the levels are restored."""
    caplog.set_level(logging.CRITICAL, "quartapp.reporting")
    caplog.set_level(logging.CRITICAL, "sqlalchemy")


@pytest.mark.timeout(120)
def test_no_recorded_error_is_lost_when_a_server_is_killed(tmp_path: Path) -> None:
    sums = kill_workers.run(2, tmp_path, workers=1)
    assert sums.is_right, sums


@pytest.mark.timeout(120)
def test_drainers_that_are_killed_count_exactly(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'faults.db'}"
    assert kill_drainers.run(url, 2, tmp_path / "journal", ticks=500)


@pytest.mark.parametrize(("errors", "groups"), [(20_000, 1), (2_000, 2_000)])
def test_a_storm_stays_small_and_exact(errors: int, groups: int) -> None:
    outcome = storm.run(errors, groups)
    assert outcome.is_right, outcome


async def test_a_locked_database_costs_no_count(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'faults.db'}"
    assert await database_down.run(url, tmp_path, 2.0)


@pytest.mark.postgresql
async def test_connections_that_end_cost_no_count(tmp_path: Path) -> None:
    address = os.environ["QUARTAPP_TEST_POSTGRESQL"]
    assert await database_down.with_postgresql(2.0, tmp_path, address)


def test_a_full_disk_costs_details_but_no_count() -> None:
    try:
        assert full_disk.in_tmpfs()
    except full_disk.CannotMountError as error:
        pytest.skip(f"cannot mount a tmpfs here: {error}")


def test_a_slow_mail_server_does_not_stop_the_loop() -> None:
    try:
        gaps = slow_mail.measure(0.6, mails=2)
    except FileNotFoundError:
        pytest.skip("no openssl: install it")
    assert gaps[len(gaps) * 99 // 100] < slow_mail.LONGEST_GAP
    assert gaps[-1] < 0.3
