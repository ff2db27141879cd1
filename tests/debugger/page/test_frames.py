"""Exceptions as sections and frames, with their lines."""

import gc
import weakref
from pathlib import Path

import pytest

from quartapp.debugger.page.frames import Section, plain_text, release, sections
from tests.debugger.page.caught import caught


def test_the_exception_comes_first_then_what_led_to_it() -> None:
    def fail() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError:
                raise TypeError("second")  # noqa: B904 without a cause on purpose
        except TypeError as error:
            raise ValueError("third") from error

    found = [(section.kind, section.relation) for section in sections(caught(fail))]

    assert found == [
        ("ValueError", ""),
        ("TypeError", "was the direct cause of ValueError"),
        ("KeyError", "was being handled when TypeError happened"),
    ]


def test_a_suppressed_context_is_left_out() -> None:
    def fail() -> None:
        try:
            raise KeyError
        except KeyError:
            raise ValueError from None

    assert [section.kind for section in sections(caught(fail))] == ["ValueError"]


def test_groups_in_groups_have_their_depth() -> None:
    error = ExceptionGroup("a", [ValueError(1), ExceptionGroup("b", [KeyError(2)])])

    assert [(s.kind, s.depth) for s in sections(error)] == [
        ("ExceptionGroup", 0),
        ("ValueError", 1),
        ("ExceptionGroup", 1),
        ("KeyError", 2),
    ]


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first

    assert [section.kind for section in sections(first)] == ["ValueError", "KeyError"]


def test_a_thousand_members_are_bounded() -> None:
    assert len(sections(ExceptionGroup("many", [ValueError(n) for n in range(1000)]))) == 40


def test_notes_belong_to_the_message() -> None:
    error = ValueError("what")
    error.add_note("and why")

    assert sections(error)[0].message == "what\nand why"


def test_a_syntax_error_shows_its_own_line() -> None:
    error = caught(lambda: compile("x = (1 +* 2)\n", "broken.py", "exec"))

    assert 'File "broken.py", line 1' in sections(error)[0].message
    assert "SyntaxError" in sections(error)[0].message


def test_frames_that_ask_for_it_are_left_out() -> None:
    def hidden() -> None:
        __traceback_hide__ = True  # noqa: F841 read from the frame
        raise ValueError

    assert [f.function.split(".")[-1] for f in sections(caught(hidden))[0].frames] == ["caught"]


def test_library_frames_are_known_and_run_together() -> None:
    import json

    section = sections(caught(lambda: json.loads("{")))[0]

    assert [is_library for is_library, _ in section.runs] == [False, True]
    assert section.frames[-1].place == "json/decoder.py"


def test_what_is_named_a_library_is_one() -> None:
    section = sections(caught(lambda: 1 / 0), libraries=[str(Path(__file__).parent)])[0]

    assert all(frame.is_library for frame in section.frames)


@pytest.mark.parametrize("text", ["\x1b[2J", "a\x00b", "\u202edesrever", "\udc80", "\x9b31m"])
def test_no_control_character_is_left(text: str) -> None:
    error = ValueError(text)

    for shown in (plain_text(error), sections(error)[0].message):
        assert text not in shown
        assert "\\" in shown


def test_an_exception_with_a_broken_note_has_a_text() -> None:
    error = ValueError("what")
    error.__notes__ = [type("Bad", (), {"__str__": lambda _self: 1 / 0})()]

    assert "ValueError" in plain_text(error)
    assert sections(error)[0].kind == "ValueError"


def test_release_lets_go_of_variables() -> None:
    class Held:
        pass

    references: list[weakref.ref[Held]] = []

    def fail() -> None:
        held = Held()
        references.append(weakref.ref(held))
        raise ValueError

    error = caught(fail)
    found: list[Section] = sections(error)

    release(found)
    gc.collect()

    assert references[0]() is None
