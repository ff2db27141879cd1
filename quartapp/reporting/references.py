"""References: by what eight characters a person names an occurrence of an error.

As a number a reference takes eight bytes in the table that has one for each occurrence.
"""

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""No characters that are easily confused."""

LENGTH = 8

_BASE = len(ALPHABET)
NUMBERS = _BASE**LENGTH
"""How many there are; each has a number from 0 on."""

_DIGITS = {character: digit for digit, character in enumerate(ALPHABET)}
_SEPARATORS = str.maketrans("", "", " -\t\r\n")
_LONGEST = 40


def reference_of(number: int) -> str:
    """The reference with this number."""
    found = ""
    for _ in range(LENGTH):
        number, digit = divmod(number, _BASE)
        found += ALPHABET[digit]
    return found


def number_of(reference: str) -> int | None:
    """The number of a reference; None for a text that is none."""
    if len(reference) != LENGTH:
        return None
    number = 0
    for character in reversed(reference):
        digit = _DIGITS.get(character)
        if digit is None:
            return None
        number = number * _BASE + digit
    return number


def as_typed(text: str) -> str | None:
    """The reference that a person typed, in capitals or in groups too; None if it is none."""
    typed = text.translate(_SEPARATORS).lower() if len(text) <= _LONGEST else ""
    return typed if number_of(typed) is not None else None
