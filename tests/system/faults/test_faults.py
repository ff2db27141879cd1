"""Short versions of the proofs that `make faults` runs at length."""

import logging
from pathlib import Path

import pytest

from tests.system.faults import (
    database_down,
    foreign,
    full_disk,
    kill_consumers,
    kill_workers,
    machines,
    slow_mail,
    storm,
)
from tests.system.faults.storm import Storm


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The proofs cause errors on purpose, which are not logged; the levels are restored."""
    caplog.set_level(logging.CRITICAL, "quartapp.reporting")
    caplog.set_level(logging.CRITICAL, "sqlalchemy")


def test_no_recorded_error_is_lost_when_a_server_is_killed(tmp_path: Path) -> None:
    sums = kill_workers.run(2, tmp_path, workers=1)
    assert sums.is_right, sums


def test_consumers_that_are_killed_count_exactly(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'faults.db'}"
    assert kill_consumers.run(url, 2, tmp_path / "journal", ticks=250)


@pytest.mark.postgresql
async def test_consumers_that_are_killed_on_postgresql_count_exactly(tmp_path: Path) -> None:
    assert await kill_consumers.with_postgresql(2, tmp_path / "journal", ticks=250)


@pytest.mark.parametrize(
    "one",
    [
        Storm(20_000),
        Storm(2_000, groups=2_000),
        Storm(20_000, is_consumed=False, room=1024 * 1024, segment=64 * 1024),
    ],
    ids=["one group", "as many groups", "more than the journal may hold"],
)
def test_a_storm_stays_small_and_exact(one: Storm) -> None:
    outcome = storm.run(one)
    assert outcome.is_right, outcome


async def test_a_storm_without_a_database_waits_for_nothing(tmp_path: Path) -> None:
    outcome = await database_down.away_on_sqlite(tmp_path, 1.5)
    assert outcome.is_right, outcome


@pytest.mark.postgresql
async def test_a_storm_without_postgresql_waits_for_nothing(tmp_path: Path) -> None:
    outcome = await database_down.away_on_postgresql(tmp_path, 1.5)
    assert outcome.is_right, outcome


async def test_a_locked_database_costs_no_count(tmp_path: Path) -> None:
    assert await database_down.locked(tmp_path, 2.0)


@pytest.mark.postgresql
async def test_commits_that_are_cut_cost_no_count(tmp_path: Path) -> None:
    assert await database_down.cut(tmp_path, 3.0)


@pytest.mark.postgresql
async def test_machines_on_one_database_count_exactly_and_mail_once(tmp_path: Path) -> None:
    outcome = await machines.run(tmp_path, 2.0)
    assert outcome.is_right, outcome


def test_a_full_disk_costs_details_but_no_count() -> None:
    try:
        assert full_disk.in_tmpfs()
    except full_disk.CannotMountError as error:
        pytest.skip(f"cannot mount a tmpfs here: {error}")


def test_a_slow_mail_server_does_not_stop_the_loop() -> None:
    try:
        beats = slow_mail.measure(0.6, mails=2)
    except FileNotFoundError:
        pytest.skip("no openssl: install it")
    assert beats.is_right, beats


def test_a_killed_application_that_is_not_ours_loses_no_error() -> None:
    assert foreign.kill(1, workers=1)


def test_a_full_disk_costs_an_application_that_is_not_ours_no_count() -> None:
    try:
        assert foreign.in_folder(foreign.full, 1_000, disk=16)
    except full_disk.CannotMountError as error:
        pytest.skip(f"cannot mount a tmpfs here: {error}")
