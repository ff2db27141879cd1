"""A short version of `python -m tests.system.faults.power`: some of its cuts, with each sync left
out in turn until that shows."""

from dataclasses import replace
from pathlib import Path

import pytest

from quartapp.reporting.journal import writer as writer_module
from tests.system.faults import power, power_calls
from tests.system.faults.power import Plan


@pytest.mark.slow
@pytest.mark.strace
def test_what_was_synced_survives_a_power_failure(tmp_path: Path) -> None:
    power.record_trace(tmp_path)
    first = Plan(stride=7, beyond=0, stop=True)
    plans = {"": Plan(stride=48, beyond=1)} | dict.fromkeys(power.CALLS, first)
    plans["deletion"] = replace(first, stride=2, since="prune")
    outcomes = power.campaign(tmp_path, plans)
    whole = outcomes.pop("")
    assert whole.states > 500
    assert not whole.broken, whole.examples
    for without, outcome in outcomes.items():
        assert outcome.broken, f"nothing shows that {without} is left out"


@pytest.mark.slow
@pytest.mark.strace
# Python 3.12 warns of forks beside threads; the child uses none of them.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_calls_that_fail_cost_no_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_LOOK_AGAIN", 0.0)
    failures = {"pwrite64": ["ENOSPC"], "rename": ["EIO"], "fsync": ["EIO"]}
    runs, wrong = power_calls.run(tmp_path, 15, failures)
    assert runs >= 4
    assert not wrong
