"""Which names are the same to people, and which cannot be chosen."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quartapp.microblog.models.user import USERNAME_LENGTH
from quartapp.microblog.names import KEY_LENGTH, RESERVED, is_reserved, keys_of, name_fault


def are_alike(one: str, other: str) -> bool:
    return any(a == b for a, b in zip(keys_of(one), keys_of(other), strict=True))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("susan", "Susan"),
        ("susan", "SUSAN"),
        ("susan", "\u0455usan"),  # Cyrillic dze
        ("susan", "\uff53usan"),  # fullwidth
        ("susan", "susan\ufe0f"),
        ("su\u034fsan", "susan"),
        ("alice", "aIice"),  # a capital I
        ("paypal", "paypa1"),
        ("bob", "\u0392ob"),  # Greek Beta
        ("bob", "b0b"),
        ("mary", "rnary"),
        ("НОВА", "нова"),  # small letters that look like no Latin ones
        ("straße", "STRASSE"),
        ("σοφός", "ΣΟΦΌΣ"),
        ("Å", "A\u030a"),
    ],
)
def test_names_that_people_take_for_each_other_are_alike(one: str, other: str) -> None:
    assert are_alike(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("susan", "suzan"),
        ("jose", "josé"),
        ("ann", "anna"),
        ("user1", "user2"),
        ("ali", "all"),
        ("иван", "ivan"),
    ],
)
def test_other_names_are_not(one: str, other: str) -> None:
    assert not are_alike(one, other)


@given(st.text(max_size=USERNAME_LENGTH))
@example("\ufdfa" * USERNAME_LENGTH)
def test_every_name_has_keys_that_fit_into_their_columns(name: str) -> None:
    keys = keys_of(name)
    assert keys == keys_of(name)
    assert max(map(len, keys)) <= KEY_LENGTH
    assert are_alike(name, name.casefold()) or len(name.casefold()) != len(name)


@pytest.mark.parametrize(
    "name",
    ["\u3164", "\u2800", "alice\ufe0f", "su\u034fsan", "\u115f", "\uffa0", "a\U000e0101"],
)
def test_a_name_with_invisible_characters_is_refused(name: str) -> None:
    assert name_fault(name) == "A username must not contain invisible characters."


def test_a_mark_alone_is_no_name() -> None:
    assert "mark" in (name_fault("\u0301") or "")


@pytest.mark.parametrize("name", ["susan", "Zoë & co? #1 %41", "محمد", "李小龙", "😀", "o'brien"])
def test_names_of_all_kinds_are_accepted(name: str) -> None:
    assert name_fault(name) is None
    assert not is_reserved(name)


@pytest.mark.parametrize(
    "name",
    ["admin", "Admin", "ADMIN", "\u0430dmin", "adm1n", "admin_1", "-support-", "the_root", "Root2"],
)
def test_names_of_operators_are_reserved(name: str) -> None:
    assert is_reserved(name)


def test_names_that_only_contain_a_reserved_one_are_free() -> None:
    assert not any(map(is_reserved, ("adminton", "steam", "rootbeer", "infonaut", "theo", "the")))
    assert all(map(is_reserved, RESERVED))
