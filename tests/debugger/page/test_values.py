"""Values as text of bounded length."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartapp.debugger.page.values import show


def test_values_with_evil_methods_have_a_text() -> None:
    class Str(str):
        def __getitem__(self, _key: object) -> str:
            raise ValueError

        def __repr__(self) -> str:
            raise ValueError

    Str.__name__ = "str"
    assert show(Str("x")) == "<str whose repr raised ValueError>"
    assert show(10**5000)


def test_a_list_that_holds_itself_ends() -> None:
    circle: list[object] = []
    circle.append(circle)

    assert len(show(circle)) < 1000


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, deque, dict.fromkeys])
def test_a_million_items_are_bounded(kind: "type[list[int]]") -> None:
    assert len(show(kind(range(1_000_000)))) < 2000


def test_nothing_is_hidden_and_the_order_is_kept() -> None:
    assert show({"password": "x", "a": 1}) == "{'password': 'x', 'a': 1}"


@pytest.mark.slow
@given(
    st.recursive(
        st.text() | st.binary() | st.integers(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_showing_never_fails(value: object) -> None:
    assert isinstance(show(value), str)
