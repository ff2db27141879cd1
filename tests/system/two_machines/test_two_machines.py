"""What `make machines` says of what it saw."""

import os
from pathlib import Path

from tests.system.two_machines.ledger import Answer, Ledger, faults_of_errors, faults_of_posts
from tests.system.two_machines.network import is_left_over, name_of, what_is_missing

DONE, LOST, UNKNOWN = Answer(201, 0.1), Answer(502, 2.0), Answer(0, 90.0)


def test_each_acknowledged_post_must_be_there_once() -> None:
    ledgers = [Ledger(posts={"a": DONE, "b": LOST}), Ledger(posts={"c": UNKNOWN})]
    for right in ({"a": 1}, {"a": 1, "b": 1, "c": 1}):
        assert faults_of_posts(ledgers, right) == []
    assert faults_of_posts(ledgers, {"b": 1}) == ["lost although acknowledged: a"]
    assert faults_of_posts(ledgers, {"a": 1, "c": 2}) == ["there 2 times: c"]
    assert faults_of_posts(ledgers, {"a": 1, "d": 1}) == ["nobody sent: d"]


def test_each_answered_error_must_be_counted() -> None:
    ledgers = [Ledger(errors=[Answer(500, 0.1), Answer(500, 0.1), LOST])]
    assert [bool(faults_of_errors(ledgers, counted)) for counted in range(5)] == [
        *(True, True, False, False, True),
    ]
    assert faults_of_errors(ledgers, 4, repeated=1) == []


def test_a_ledger_says_how_long_the_longest_read_took() -> None:
    ledger = Ledger(gets=[Answer(200, 0.2), Answer(200, 20.5), LOST], posts={"a": DONE, "b": LOST})
    assert str(ledger) == (
        "3 GETs, 1 failed, longest 20.5 s; 1 of 2 posts acknowledged (others: 1 x 502)"
    )


def test_only_namespaces_of_runs_that_have_ended_are_removed() -> None:
    assert is_left_over(name_of("app1", 2**22 + 1))  # above the largest pid
    assert not is_left_over(name_of("app1", os.getpid()))
    assert not is_left_over("app1")


def test_it_says_which_program_is_missing(tmp_path: Path) -> None:
    expected = "root" if os.geteuid() else "nginx"
    assert expected in what_is_missing([tmp_path / "nginx"])
