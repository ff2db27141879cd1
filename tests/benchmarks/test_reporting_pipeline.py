"""The benchmark of reporting."""

from benchmarks.reporting_pipeline import SERVE


def test_what_it_serves_is_there() -> None:
    assert SERVE.is_file()
