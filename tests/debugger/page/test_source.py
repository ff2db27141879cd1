"""The source around a frame's line."""

from quartapp.debugger.page.frames import Frame, sections
from quartapp.debugger.page.source import source_lines
from tests.debugger.page.caught import caught


def marked(frame: Frame) -> str:
    """The characters that a frame marks in its line."""
    return "".join(
        piece.text for line in source_lines(frame) for piece in line.pieces if piece.marked
    )


def test_the_line_is_where_it_failed_not_where_the_frame_went_on() -> None:
    def fail() -> None:
        try:
            int("x")
        finally:
            after = 1 + 1
            del after

    frames = sections(caught(fail))[0].frames
    current = [line for line in source_lines(frames[-1]) if line.current]

    assert "".join(piece.text for piece in current[0].pieces) == '            int("x")'


def test_columns_count_characters_not_bytes() -> None:
    def fail() -> object:
        return ["ä", "ö", 1 / 0, "ü"]

    assert marked(sections(caught(fail))[0].frames[-1]) == "1 / 0"
