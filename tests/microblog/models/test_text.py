"""The rules for texts before they are stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartapp.database.types import is_storable
from quartapp.microblog.models.text import (
    NOT_UTF8,
    normalized,
    paragraphs,
    text_fault,
    username_fault,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]))


@given(ANY_TEXT)
def test_what_has_no_fault_can_be_stored(text: str) -> None:
    if text_fault(text) is None:
        assert is_storable(text)
        text.encode()


@given(ANY_TEXT)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)
    assert paragraphs(paragraphs(text)) == paragraphs(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Ordinary text,\n\twith 😀 and ش", None),
        ("a\0b", "Control characters are not allowed here."),
        ("a\x1bb", "Control characters are not allowed here."),
        ("a\x85b", "Control characters are not allowed here."),
        ("a\ud800b", NOT_UTF8),
    ],
)
def test_a_text_is_refused_with_a_reason(text: str, fault: str | None) -> None:
    assert text_fault(text) == fault


@pytest.mark.parametrize("name", ["susan", "Zoë", "山田 太郎", "o'neil", "a.b", "...", "100%"])
def test_ordinary_names_are_names(name: str) -> None:
    assert username_fault(name) is None


@pytest.mark.parametrize(
    "name", ["a/b", "a\\b", ".", "..", "a\u200bb", "a\u202eb", "a\u00a0b", "\ufeffa", "a\0b"]
)
def test_names_that_deceive_or_have_no_address_are_none(name: str) -> None:
    assert username_fault(name) is not None


def test_names_that_look_the_same_are_the_same() -> None:
    assert normalized("  Zoe\u0308 \t Smith\n") == "Zo\u00eb Smith"


def test_paragraphs_keep_one_empty_line() -> None:
    assert paragraphs(" a\r\nb\r\r\n \n\t\nc \n") == "a\nb\n\nc"
