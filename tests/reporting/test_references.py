"""References as texts and as numbers."""

from hypothesis import given
from hypothesis import strategies as st

from quartapp.reporting import error_reference
from quartapp.reporting.references import (
    ALPHABET,
    LENGTH,
    as_typed,
    number_of,
    reference_of,
)


@given(st.integers(0, len(ALPHABET) ** LENGTH - 1))
def test_a_number_and_its_reference_are_one(number: int) -> None:
    assert number_of(reference_of(number)) == number


def test_a_new_reference_is_one() -> None:
    reference = error_reference()
    assert len(reference) == LENGTH
    assert reference_of(number_of(reference) or 0) == reference


@given(st.text())
def test_other_texts_are_none(text: str) -> None:
    if number_of(text) is not None:
        assert len(text) == LENGTH
        assert set(text) <= set(ALPHABET)


def test_a_reference_may_be_typed_in_capitals_and_groups() -> None:
    assert as_typed(" ABCD-efgh\n") == "abcdefgh"
    assert as_typed("abcd-efg0") is None
    assert as_typed("a" * 10_000) is None
    assert as_typed("") is None
