"""The table of `make upstream`. The command itself makes two environments and runs for minutes."""

from tests.system.upstream import Outcome, libraries, locked, table


def test_every_library_has_its_row_with_the_locked_version() -> None:
    versions = locked()
    text = table(versions, {"newest": Outcome({"quart": "9.9"}, "1 failed", ("test_it",))})
    assert f"| quart | {versions['quart']} | 9.9 |" in text
    assert f"| flask | {versions['flask']} | - |" in text
    assert text.count("\n| ") >= len(libraries())


def test_a_failure_to_install_is_a_result() -> None:
    text = table({}, {"newest": Outcome({}, "not installed: no such release")})
    assert "| newest | not installed: no such release |" in text


def test_failures_are_listed_up_to_a_limit() -> None:
    failures = tuple(f"test_{number}" for number in range(50))
    text = table({}, {"newest": Outcome({}, "50 failed", failures)})
    assert "- test_39\n- and 10 more" in text
