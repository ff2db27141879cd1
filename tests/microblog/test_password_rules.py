"""Passwords that are guessed first cannot be chosen; every other one can."""

import pytest

from quartapp.microblog.password_rules import COMMON, common_passwords, password_fault

SUSAN = ("susan", "susan.smith@example.com")


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "at least 8 characters; these are 0"),
        ("s3cr3t!", "at least 8 characters; these are 7"),
        ("aaaaaaaa", "different characters"),
        (" " * 12, "different characters"),
        ("aAaAaAaA", "different characters"),
        ("password", "most common"),
        ("PassWord", "most common"),
        ("12345678", "most common"),
        ("qwertyuiop", "most common"),
        ("susan1984", "made of your name"),
        ("1984Susan!", "made of your name"),
        ("susansusan", "made of your name"),
        ("nasus-1984", "made of your name"),
        ("susan.smith", "made of your name"),
        ("smithsusan", "made of your name"),
        ("example2024", "made of your name"),
        ("susan.smith@example.com", "made of your name"),
        ("susan@microblog", "made of your name"),
        ("microblog1", "made of your name"),
    ],
)
def test_what_is_guessed_first_is_refused(password: str, words: str) -> None:
    assert words in (password_fault(password, *SUSAN) or "")


@pytest.mark.parametrize(
    "password",
    ["cat-on-the-mat", "susan likes long walks", "пароль котика", "猫がマットの上に", "a b c d e",
     "\N{SNOWMAN}" * 7 + "x", "p" * 255 + "q"],
)  # fmt: skip
def test_every_other_password_is_accepted(password: str) -> None:
    assert password_fault(password, *SUSAN) is None


def test_a_short_name_is_part_of_many_words() -> None:
    assert password_fault("al-fresco", "al", "al@b.example") is None


def test_the_list_has_the_most_common_passwords_that_are_long_enough() -> None:
    assert {"password", "12345678", "iloveyou", "sunshine"} <= common_passwords()
    assert 1_000 < len(common_passwords()) < COMMON
