"""The variables of a frame, with secrets hidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartapp.debugger.page.variables import Variables
from quartapp.redact.secret_names import HIDDEN


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
    assert dict(Variables({"value": value}).rows()) == {"value": text}


def test_a_secret_is_hidden_under_other_names_too() -> None:
    variables = {
        "password": b"open-sesame",
        "copy": "<open-sesame>",
        "short_token": "ab",
        "x": "ab",
    }

    rows = dict(Variables(variables).rows())

    assert rows == {"password": None, "copy": f"'<{HIDDEN}>'", "short_token": None, "x": "'ab'"}


def test_a_secret_is_hidden_where_a_repr_escapes_it() -> None:
    rows = dict(Variables({"password": 'it\'s\n"open"', "copy": ['it\'s\n"open"']}).rows())

    assert rows["copy"] in (f"['{HIDDEN}']", f'["{HIDDEN}"]')


def test_what_a_session_holds_is_hidden_in_it_and_shown_elsewhere() -> None:
    rows = Variables({"session": {"name": "susan"}, "name": "susan"}).rows()

    assert rows == [("session", None), ("name", "'susan'")]


def test_a_secret_that_is_not_there_is_shown_as_such() -> None:
    assert Variables({"token": None, "password": ""}).rows() == [
        ("token", "None"),
        ("password", "''"),
    ]


def test_an_unknown_name_reveals_nothing() -> None:
    assert Variables({}).reveal("password") is None


@pytest.mark.slow
@given(
    st.recursive(
        st.text() | st.binary() | st.integers(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_showing_never_fails(value: object) -> None:
    assert len(Variables({"value": value}).rows()) == 1
