"""Values as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartapp.debugger.page.values import HIDDEN, Locals, hide_named, show


def is_secret(name: str) -> bool:
    return "password" in name or "token" in name


class User:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"password": "x", "a": 1}, f"{{'password': {HIDDEN}, 'a': 1}}"),
        ([{"token": ["x", "y"]}], f"[{{'token': {HIDDEN}}}]"),
        (User("User(name='a', password='it\\'s', b=1)"), f"User(name='a', password={HIDDEN}, b=1)"),
        (User('<U password="a b">'), f"<U password={HIDDEN}>"),
        (User("M([('token', 'x'), ('b', 'y')])"), f"M([('token', {HIDDEN}), ('b', 'y')])"),
        (User("{'token': b'x'}"), f"{{'token': {HIDDEN}}}"),
        (User("url: http://h/?token=abc&b=1"), f"url: http://h/?token={HIDDEN}&b=1"),
        (User("password: Bearer abc, x"), f"password: {HIDDEN}, x"),
        (User("no secrets, a=1"), "no secrets, a=1"),
    ],
)
def test_secret_names_inside_of_values_are_hidden(value: object, text: str) -> None:
    assert dict(Locals({"value": value}, is_secret).rows()) == {"value": text}


def test_a_secret_is_hidden_under_other_names_too() -> None:
    variables = {
        "password": b"open-sesame",
        "copy": "<open-sesame>",
        "short_token": "ab",
        "x": "ab",
    }

    rows = dict(Locals(variables, is_secret).rows())

    assert rows == {"password": None, "copy": f"'<{HIDDEN}>'", "short_token": None, "x": "'ab'"}


def test_an_unknown_name_reveals_nothing() -> None:
    assert Locals({}, is_secret).reveal("password") is None


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


@given(st.text(max_size=20), st.text(alphabet="abc='\", :()&\\", max_size=40))
def test_hiding_never_shows_what_follows_a_secret_name(value: str, around: str) -> None:
    text = f"{around}password={value!r}"

    assert f"password={value!r}" not in hide_named(text, is_secret)


@given(
    st.recursive(
        st.text() | st.binary() | st.integers(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_showing_never_fails(value: object) -> None:
    assert isinstance(show(value), str)
    assert len(Locals({"value": value}, is_secret).rows()) == 1
