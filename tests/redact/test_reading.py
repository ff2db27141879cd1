"""Where in its line an expression failed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from quartapp.redact.places import Places
from quartapp.redact.reading import ExceptionReading
from quartapp.redact.scrub import Scrubber
from quartapp.redact.traceback import ExceptionInfo

PLACES = Places(Path(__file__).parent)


def read(function: Callable[[], object]) -> ExceptionInfo:
    with pytest.raises((ValueError, KeyError, ZeroDivisionError)) as caught:
        function()
    reading = ExceptionReading(caught.value, PLACES, details=True)
    reading.scrub(Scrubber(), [])
    return reading.exceptions[0]


def marked(info: ExceptionInfo) -> str:
    """The characters that are marked in the line of the last call."""
    found = {at: (start, end) for at, start, end in info.columns}
    frame = info.frames[-1]
    start, end = found.get(len(info.frames) - 1, (0, 0))
    return frame.source[frame.line - frame.first_line][start:end]


def test_the_expression_that_failed_is_marked() -> None:
    def fail() -> object:
        things = {"a": 1}
        return [things["a"], things["b"], things["a"]]

    info = read(fail)
    assert marked(info) == 'things["b"]'
    assert marked(read(fail)) == 'things["b"]'  # from the cache
    assert len(info.columns) == 2


def test_columns_count_characters_and_not_bytes() -> None:
    def fail() -> object:
        return ["ä", "ö", 1 / 0, "ü"]

    assert marked(read(fail)) == "1 / 0"


def test_an_expression_of_several_lines_is_marked_to_the_end_of_its_first() -> None:
    def fail() -> object:
        return int(
            "nothing but a text that is long enough to be in a line of its own, as all others are"
        )

    assert marked(read(fail)) == "int("


def test_nothing_is_marked_in_a_line_in_which_a_secret_is_hidden() -> None:
    def fail() -> object:
        password = "hunter2hunter2"
        return {"password": "hunter2hunter2"}[password[:0]]

    info = read(fail)
    assert "hunter2" not in str(info)
    assert marked(info) == ""


def test_code_without_positions_has_none() -> None:
    code = compile("def fail():\n    1 / 0", __file__, "exec")
    space: dict[str, Callable[[], object]] = {}
    exec(code, space)
    made = space["fail"]
    made.__code__ = made.__code__.replace(co_linetable=b"")

    assert read(made).columns[1:] == ()
